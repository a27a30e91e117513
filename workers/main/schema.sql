-- The baseline: what an empty database gets before the first numbered migration.
-- Never edit it for a change of schema; add a file to migrations/ instead.

CREATE TABLE categories (
  id             INTEGER PRIMARY KEY,
  slug           TEXT NOT NULL UNIQUE,
  name           TEXT NOT NULL,
  business_count INTEGER NOT NULL DEFAULT 0 -- kept by the daily cron of the main worker
);

CREATE TABLE businesses (
  id          INTEGER PRIMARY KEY,
  slug        TEXT NOT NULL UNIQUE,
  name        TEXT NOT NULL,
  category_id INTEGER NOT NULL REFERENCES categories (id) ON DELETE RESTRICT,
  description TEXT NOT NULL DEFAULT '',
  street      TEXT,
  city        TEXT NOT NULL,
  state       TEXT NOT NULL DEFAULT 'OK' CHECK (length(state) = 2),
  zip         TEXT,
  phone       TEXT,
  website     TEXT,
  image_key   TEXT,
  created_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  updated_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);

CREATE INDEX businesses_by_category ON businesses (category_id, name);
CREATE INDEX businesses_by_city ON businesses (city, name);

CREATE TABLE opening_hours (
  business_id INTEGER NOT NULL REFERENCES businesses (id) ON DELETE CASCADE,
  weekday     INTEGER NOT NULL CHECK (weekday BETWEEN 0 AND 6), -- 0 is Sunday
  opens       TEXT NOT NULL,
  closes      TEXT NOT NULL,
  PRIMARY KEY (business_id, weekday)
) WITHOUT ROWID;

CREATE TABLE owners (
  id             INTEGER PRIMARY KEY,
  google_subject TEXT NOT NULL UNIQUE,
  email          TEXT NOT NULL,
  created_at     TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);
