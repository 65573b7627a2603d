DROP TABLE IF EXISTS field_values;

--bun:split

DROP TABLE IF EXISTS fields;

--bun:split

DROP TABLE IF EXISTS views;

--bun:split

DROP TABLE IF EXISTS pins;

--bun:split
{{if eq .Kind "sqlite"}}
DROP TABLE IF EXISTS computer_words;

--bun:split
{{end}}
DROP TABLE IF EXISTS computer_index;

--bun:split

ALTER TABLE "groups" DROP COLUMN sort_key;

--bun:split

ALTER TABLE computers DROP COLUMN comment;

--bun:split

ALTER TABLE computers DROP COLUMN tags;
