DROP TABLE IF EXISTS secrets;

--bun:split

DROP TABLE IF EXISTS tries;

--bun:split

DROP TABLE IF EXISTS one_time_tokens;

--bun:split

DROP TABLE IF EXISTS sign_ins;

--bun:split

DROP TABLE IF EXISTS people;
