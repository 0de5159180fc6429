"""The tables of the workspace file."""

FORMAT = 2  # of the schema, in the file's user_version; a later one is refused

SCHEMA = """
CREATE TABLE recording (
    id INTEGER PRIMARY KEY,
    path TEXT UNIQUE NOT NULL,      -- below the folder, with / between
    name TEXT NOT NULL,             -- as people know it, an uploaded file has another path
    sha256 TEXT,                    -- of the content, once somebody had to know
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    added TEXT NOT NULL,            -- UTC, ISO 8601, like all times
    gone INTEGER NOT NULL DEFAULT 0,
    duration_s REAL, sample_rate INTEGER, channels INTEGER,  -- NULL until it was opened
    patient TEXT, position TEXT, age_years REAL, sex TEXT, device TEXT
);
CREATE TABLE analysis (
    id INTEGER PRIMARY KEY,
    recording INTEGER NOT NULL REFERENCES recording,
    made TEXT NOT NULL,
    size INTEGER NOT NULL, modified_ns INTEGER NOT NULL,  -- of the file that it is of
    model_name TEXT, model_version TEXT, model_sha256 TEXT, calibration_sha256 TEXT,
    laennec TEXT,                   -- the version that made it
    content TEXT,                   -- JSON of an analysis, NULL where it failed
    summary TEXT,                   -- of that, what the list of recordings shows
    error TEXT
);
CREATE TABLE suggestion (           -- an event as a model found it
    id INTEGER PRIMARY KEY,
    analysis INTEGER NOT NULL REFERENCES analysis,
    recording INTEGER NOT NULL REFERENCES recording,
    model_name TEXT NOT NULL, model_sha256 TEXT NOT NULL,
    channel INTEGER NOT NULL, start_s REAL NOT NULL, end_s REAL NOT NULL,
    label TEXT NOT NULL, probability REAL, presence REAL, uncertain INTEGER NOT NULL,
    probabilities TEXT              -- JSON, of each label, NULL where they are not known
);
CREATE TABLE reader (
    id INTEGER PRIMARY KEY,
    name TEXT UNIQUE NOT NULL,
    added TEXT NOT NULL
);
CREATE TABLE edit (                 -- what a reader did, in order, `content` is JSON
    id INTEGER PRIMARY KEY,
    recording INTEGER NOT NULL REFERENCES recording,
    reader INTEGER NOT NULL REFERENCES reader,
    made TEXT NOT NULL,
    analysis INTEGER REFERENCES analysis,  -- whose suggestions were shown
    request TEXT,                   -- chosen by the page, so that what is sent twice is done once
    kind TEXT NOT NULL,
    content TEXT NOT NULL
);
CREATE TABLE model (                -- trained or brought along, beside those that ship
    sha256 TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    made TEXT NOT NULL,
    content TEXT NOT NULL
);
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE INDEX analysis_recording ON analysis (recording);
CREATE INDEX suggestion_analysis ON suggestion (analysis);
CREATE INDEX suggestion_recording ON suggestion (recording);
CREATE INDEX edit_recording ON edit (recording, reader);
"""
# What makes a file of an earlier format one of the next.
CHANGES = {
    1: "ALTER TABLE analysis ADD COLUMN laennec TEXT; "
    "UPDATE analysis SET laennec = json_extract(content, '$.laennec')",
}
APPEND_ONLY = ("suggestion", "edit")
