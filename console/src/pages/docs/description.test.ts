import { describe as group, expect, it } from 'vitest';
import { describe, search, type OpenAPI } from './description';

const schemas = {
  Thing: {
    type: 'object',
    required: ['id'],
    properties: {
      id: { type: 'string', description: 'Its id.' },
      parts: { type: ['array', 'null'], items: { $ref: '#/components/schemas/Part' } },
      parent: { $ref: '#/components/schemas/Thing' },
    },
  },
  Part: { type: 'object', properties: { size: { type: 'integer', minimum: 1, maximum: 9, default: 3 } } },
};
const source: OpenAPI = {
  info: { title: 'A relay', description: 'One.\n\nTwo.', version: '1' },
  tags: [
    { name: 'things', description: 'All things.' },
    { name: 'empty', description: 'None.' },
  ],
  paths: {
    '/api/v1/things': {
      post: {
        operationId: 'makeThing',
        summary: 'Make a thing',
        description: 'Make a thing. It is new.',
        tags: ['things'],
        security: [],
        parameters: [
          { name: 'kind', in: 'query', schema: { type: 'string', enum: ['a', 'b'], maxLength: 5 } },
        ],
        requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Thing' } } } },
        responses: {
          '201': {
            description: 'Created',
            content: { 'application/json': { schema: {}, example: { id: 'x' } } },
          },
          '422': { $ref: '#/components/responses/Invalid' },
        },
      },
    },
  },
  components: { schemas, responses: { Invalid: { description: 'Fields are wrong.' } } },
};

group('the description of the API', () => {
  const { about, groups } = describe(source);
  const operation = groups[0]?.operations[0];

  it('is read in groups, with refusals looked up', () => {
    expect(about).toEqual(['One.', 'Two.']);
    expect(groups.map(({ name, operations }) => [name, operations.length])).toEqual([
      ['things', 1],
      ['empty', 0],
    ]);
    expect(operation).toMatchObject({ id: 'makeThing', method: 'POST', about: 'It is new.', open: true });
    expect(operation?.success).toMatchObject([{ status: '201', content: { example: '{\n  "id": "x"\n}' } }]);
    expect(operation?.refusals).toEqual([{ status: '422', about: 'Fields are wrong.' }]);
  });

  // Rule: what lies in what is shown by the way to it, and a schema within itself ends.
  it('shows fields by the way to them', () => {
    const rows = operation?.body?.fields ?? [];
    expect(rows.slice(0, 3)).toEqual([
      { name: 'id', type: 'string', required: true, about: 'Its id.' },
      { name: 'parts', type: 'object[]', required: false, about: '' },
      { name: 'parts[].size', type: 'integer', required: false, about: 'minimum 1 · maximum 9 · default 3' },
    ]);
    expect(rows.length).toBeLessThan(40);
    expect(operation?.parameters).toEqual([
      { name: 'kind', type: 'query, string', required: false, about: '"a" | "b" · maxLength 5' },
    ]);
  });

  it('is searched by words', () => {
    expect(search(groups, 'POST thing').map(({ name }) => name)).toEqual(['things']);
    expect(search(groups, 'thing nowhere')).toEqual([]);
  });
});
