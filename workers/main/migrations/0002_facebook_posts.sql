-- The queue the facebook worker publishes from, oldest due post first.

CREATE TABLE facebook_posts (
  id           INTEGER PRIMARY KEY,
  business_id  INTEGER REFERENCES businesses (id) ON DELETE SET NULL,
  message      TEXT NOT NULL,
  status       TEXT NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'posted', 'failed')),
  due_at       TEXT NOT NULL,
  attempts     INTEGER NOT NULL DEFAULT 0,
  external_id  TEXT,
  last_error   TEXT,
  posted_at    TEXT
);

CREATE INDEX facebook_posts_due ON facebook_posts (status, due_at);
