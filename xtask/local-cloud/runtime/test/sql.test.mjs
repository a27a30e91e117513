import assert from "node:assert/strict";
import { test } from "node:test";

import { splitStatements } from "../sql.mjs";

const cut = (text) => splitStatements(text).map(({ sql }) => sql);

test("plain statements, empty ones and comments", () => {
  assert.deepEqual(cut("SELECT 1; ; -- nothing; here\n SELECT 2 /* ; */ ;\n-- end"), ["SELECT 1", "-- nothing; here\n SELECT 2 /* ; */"]);
  assert.deepEqual(cut("-- only a comment;\n/* and another; */;"), []);
});

test("semicolons in strings and quoted names", () => {
  assert.deepEqual(cut(`INSERT INTO "a;b" VALUES ('it''s; fine'); SELECT [x;y], \`z;\` FROM t`),
    [`INSERT INTO "a;b" VALUES ('it''s; fine')`, "SELECT [x;y], `z;` FROM t"]);
});

test("trigger bodies, with CASE inside", () => {
  const trigger = "CREATE TEMP TRIGGER t AFTER UPDATE ON a BEGIN UPDATE a SET x = CASE WHEN 1 THEN 2 ELSE 3 END; DELETE FROM b; END";
  assert.deepEqual(cut(`${trigger};\nSELECT 1;`), [trigger, "SELECT 1"]);
  const plain = "CREATE TRIGGER IF NOT EXISTS t BEFORE INSERT ON a WHEN CASE new.x WHEN 1 THEN 1 END BEGIN SELECT 'END;'; END";
  assert.deepEqual(cut(`${plain}; SELECT 2`), [plain, "SELECT 2"]);
});

test("BEGIN and CASE outside of triggers hold nothing together", () => {
  assert.deepEqual(cut("BEGIN; SELECT CASE 1 WHEN 1 THEN 2 END; COMMIT"), ["BEGIN", "SELECT CASE 1 WHEN 1 THEN 2 END", "COMMIT"]);
});

test("parameters are counted outside of strings", () => {
  assert.deepEqual(splitStatements("INSERT INTO t VALUES (?, '?', ?); SELECT ?2; SELECT 1").map(({ parameters }) => parameters), [2, 2, 0]);
});
