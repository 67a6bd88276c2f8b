PRAGMA page_size = 1024;
CREATE TABLE account(name TEXT PRIMARY KEY, amount INTEGER CHECK (amount >= 0)) WITHOUT ROWID;
CREATE TABLE entry(id INTEGER PRIMARY KEY, name TEXT REFERENCES account, change INTEGER);
CREATE TRIGGER booked AFTER INSERT ON entry BEGIN UPDATE account SET amount = amount + new.change WHERE name = new.name; END;
INSERT INTO account VALUES ('a', 10), ('b', 0);
BEGIN;
WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO entry(name, change) SELECT 'b', i % 7 FROM n;
COMMIT;
BEGIN;
INSERT INTO entry(name, change) VALUES ('a', -5);
ROLLBACK;
SELECT * FROM account;
SELECT count(*), sum(change) FROM entry;
PRAGMA integrity_check;
INSERT INTO entry(name, change) VALUES ('a', -11);
VACUUM;
.tables
.schema entry
