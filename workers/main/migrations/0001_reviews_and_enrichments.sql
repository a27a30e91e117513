-- What visitors say about a business, and what the analyzer found out about it.

CREATE TABLE reviews (
  id          INTEGER PRIMARY KEY,
  business_id INTEGER NOT NULL REFERENCES businesses (id) ON DELETE CASCADE,
  author      TEXT NOT NULL,
  rating      INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
  body        TEXT NOT NULL DEFAULT '',
  created_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);

CREATE INDEX reviews_by_business ON reviews (business_id, created_at);

CREATE TABLE enrichments (
  business_id INTEGER PRIMARY KEY REFERENCES businesses (id) ON DELETE CASCADE,
  summary     TEXT NOT NULL,
  keywords    TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(keywords)),
  confidence  REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1),
  model       TEXT NOT NULL,
  analyzed_at TEXT NOT NULL
);
