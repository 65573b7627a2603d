/** The relay's description of its API (OpenAPI 3.1), as a page shows it. */

interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  contentEncoding?: string;
  description?: string;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  enum?: unknown[];
  default?: unknown;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
}
interface Media {
  schema?: Schema;
  example?: unknown;
}
interface RawAnswer {
  $ref?: string;
  description?: string;
  content?: Record<string, Media>;
}
interface RawOperation {
  operationId: string;
  summary: string;
  description: string;
  tags: string[];
  security?: unknown[];
  parameters?: { name: string; in: string; description?: string; required?: boolean; schema: Schema }[];
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, RawAnswer>;
}
export interface OpenAPI {
  info: { title: string; description: string; version: string };
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, RawOperation>>;
  components: { schemas: Record<string, Schema>; responses: Record<string, RawAnswer> };
}

export interface FieldRow {
  /** With dots and [] where it lies deeper. */
  name: string;
  type: string;
  required: boolean;
  about: string;
}
export interface Content {
  kind: string;
  fields: FieldRow[];
  /** JSON, or '' where it is none. */
  example: string;
}
export interface Answer {
  status: string;
  about: string;
}
export interface Operation {
  id: string;
  method: string;
  path: string;
  summary: string;
  about: string;
  /** Anybody may ask. */
  open: boolean;
  parameters: FieldRow[];
  body: Content | undefined;
  /** What it answers when it succeeds, with a body or without. */
  success: (Answer & { content: Content | undefined })[];
  refusals: Answer[];
}
export interface Group {
  name: string;
  about: string;
  operations: Operation[];
}
export interface Description {
  title: string;
  /** Paragraphs. */
  about: string[];
  groups: Group[];
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
/** Schemas lie in each other no deeper than this; a circle ends here. */
const DEPTH = 6;

class Reader {
  readonly #source: OpenAPI;
  constructor(source: OpenAPI) {
    this.#source = source;
  }

  read(): Description {
    const { info, tags, paths } = this.#source;
    const all = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([method]) => METHODS.includes(method))
        .map(([method, operation]) => ({
          tag: operation.tags[0],
          made: this.#operation(path, method, operation),
        })),
    );
    const groups = tags.map(({ name, description }) => ({
      name,
      about: description,
      operations: all
        .filter(({ tag }) => tag === name)
        .map(({ made }) => made)
        .sort((a, b) => order(a) - order(b) || a.path.localeCompare(b.path)),
    }));
    return { title: info.title, about: info.description.split('\n\n'), groups };
  }

  #operation(path: string, method: string, raw: RawOperation): Operation {
    const answers = Object.entries(raw.responses).map(([status, answer]) => {
      const name = answer.$ref?.split('/').pop() ?? '';
      const known = this.#source.components.responses[name] ?? answer;
      return { status, about: known.description ?? '', content: this.#content(known.content) };
    });
    const succeeds = ({ status }: Answer) => /^[23]/.test(status);
    return {
      id: raw.operationId,
      method: method.toUpperCase(),
      path,
      summary: raw.summary,
      about: raw.description.slice(raw.summary.length + 1).trim(),
      open: raw.security?.length === 0,
      parameters: (raw.parameters ?? []).map((p) => ({
        name: p.name,
        type: `${p.in}, ${this.#type(p.schema)}`,
        required: p.required ?? false,
        about: [p.description, bounds(p.schema)].filter(Boolean).join(' '),
      })),
      body: this.#content(raw.requestBody?.content),
      success: answers.filter(succeeds),
      refusals: answers.filter((answer) => !succeeds(answer)).map(({ status, about }) => ({ status, about })),
    };
  }

  #content(content: Record<string, Media> | undefined): Content | undefined {
    const [first] = Object.entries(content ?? {});
    if (!first) return undefined;
    const [kind, { schema, example }] = first;
    return {
      kind,
      fields: schema ? this.#fields(schema, '', DEPTH) : [],
      example: example === undefined ? '' : JSON.stringify(example, undefined, 2),
    };
  }

  #resolve(schema: Schema): Schema {
    const name = schema.$ref?.split('/').pop();
    return (name !== undefined && this.#source.components.schemas[name]) || schema;
  }

  #fields(schema: Schema, before: string, depth: number): FieldRow[] {
    const whole = this.#resolve(schema);
    if (depth === 0) return [];
    if (whole.items) return this.#fields(whole.items, `${before}[]`, depth - 1);
    return Object.entries(whole.properties ?? {}).flatMap(([key, property]) => {
      const name = before ? `${before}.${key}` : key;
      const about = [property.description, bounds(property)].filter(Boolean).join(' ');
      const required = whole.required?.includes(key) ?? false;
      return [
        { name, type: this.#type(property), required, about },
        ...this.#fields(property, name, depth - 1),
      ];
    });
  }

  #type(schema: Schema): string {
    const { type, format, contentEncoding, items } = this.#resolve(schema);
    if (items) return `${this.#type(items)}[]`;
    const names = [type].flat().filter((name) => name !== undefined && name !== 'null');
    return [names.join(' | '), contentEncoding ?? format].filter(Boolean).join(', ');
  }
}

const order = ({ method }: Operation) => METHODS.indexOf(method.toLowerCase());

/** What a value may be, in the keywords of JSON Schema. */
function bounds(schema: Schema): string {
  const names = ['minimum', 'maximum', 'minLength', 'maxLength', 'default'] as const;
  const known = names.filter((name) => schema[name] !== undefined);
  return [
    schema.enum?.map((value) => JSON.stringify(value)).join(' | '),
    ...known.map((name) => `${name} ${JSON.stringify(schema[name])}`),
  ]
    .filter(Boolean)
    .join(' · ');
}

export const describe = (source: OpenAPI): Description => new Reader(source).read();

/** The groups with those operations that have all words in what is said of them. */
export function search(groups: readonly Group[], text: string): Group[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (o: Operation) => {
    const all = [o.id, o.method, o.path, o.summary, o.about].join('\n').toLowerCase();
    return words.every((word) => all.includes(word));
  };
  return groups
    .map((group) => ({ ...group, operations: group.operations.filter(fits) }))
    .filter(({ operations }) => operations.length > 0);
}
