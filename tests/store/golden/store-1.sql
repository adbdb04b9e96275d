CREATE TABLE documents (digest TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL);
INSERT INTO "documents" VALUES('e22544a40accb9ddaf6590949ebcbefcd3351f300dc30c172836d9c4dcf3b9b9','{"long":["x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x","x"],"name":"digits","params":{"lr":0.01,"none":null}}');
INSERT INTO "documents" VALUES('34108a4a7cd77d5b62b96c3bee07fb0716c76397d221534c27bb1e04bbd6ddca','{"m0.py":"00000000000000000000000000000000","m1.py":"00000000000000000000000000000001","m10.py":"0000000000000000000000000000000a","m11.py":"0000000000000000000000000000000b","m12.py":"0000000000000000000000000000000c","m13.py":"0000000000000000000000000000000d","m14.py":"0000000000000000000000000000000e","m15.py":"0000000000000000000000000000000f","m16.py":"00000000000000000000000000000010","m17.py":"00000000000000000000000000000011","m18.py":"00000000000000000000000000000012","m19.py":"00000000000000000000000000000013","m2.py":"00000000000000000000000000000002","m20.py":"00000000000000000000000000000014","m21.py":"00000000000000000000000000000015","m22.py":"00000000000000000000000000000016","m23.py":"00000000000000000000000000000017","m24.py":"00000000000000000000000000000018","m25.py":"00000000000000000000000000000019","m26.py":"0000000000000000000000000000001a","m27.py":"0000000000000000000000000000001b","m28.py":"0000000000000000000000000000001c","m29.py":"0000000000000000000000000000001d","m3.py":"00000000000000000000000000000003","m30.py":"0000000000000000000000000000001e","m31.py":"0000000000000000000000000000001f","m32.py":"00000000000000000000000000000020","m33.py":"00000000000000000000000000000021","m34.py":"00000000000000000000000000000022","m35.py":"00000000000000000000000000000023","m36.py":"00000000000000000000000000000024","m37.py":"00000000000000000000000000000025","m38.py":"00000000000000000000000000000026","m39.py":"00000000000000000000000000000027","m4.py":"00000000000000000000000000000004","m5.py":"00000000000000000000000000000005","m6.py":"00000000000000000000000000000006","m7.py":"00000000000000000000000000000007","m8.py":"00000000000000000000000000000008","m9.py":"00000000000000000000000000000009"}');
CREATE TABLE gates (
    run TEXT NOT NULL,
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    value DOUBLE PRECISION,
    value_limit DOUBLE PRECISION,
    key TEXT NOT NULL,
    PRIMARY KEY (run, position)
);
INSERT INTO "gates" VALUES('20261121-061500-0000',0,'accuracy >= 0.9','pass','0.97',0.97,0.9,'gates[0]');
INSERT INTO "gates" VALUES('20261121-071500-0001',0,'accuracy >= 0.9','pass','0.97',0.97,0.9,'gates[0]');
INSERT INTO "gates" VALUES('20261121-081500-0002',0,'accuracy >= 0.9','pass','0.97',0.97,0.9,'gates[0]');
INSERT INTO "gates" VALUES('20261121-091500-0003',0,'accuracy >= 0.9','pass','0.97',0.97,0.9,'gates[0]');
INSERT INTO "gates" VALUES('20261121-101500-0004',0,'accuracy >= 0.9','pass','0.97',0.97,0.9,'gates[0]');
INSERT INTO "gates" VALUES('20261121-111500-0005',0,'accuracy >= 0.9','pass','0.97',0.97,0.9,'gates[0]');
CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "meta" VALUES('schema_version','1');
CREATE TABLE metrics (
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    value DOUBLE PRECISION,
    x BIGINT,
    slice TEXT NOT NULL,
    low DOUBLE PRECISION,
    high DOUBLE PRECISION,
    n_rows BIGINT NOT NULL,
    PRIMARY KEY (run, step, position)
);
INSERT INTO "metrics" VALUES('20261121-061500-0000','',0,'accuracy',0.97,NULL,'',0.96,0.98,360);
INSERT INTO "metrics" VALUES('20261121-061500-0000','',1,'loss',NULL,NULL,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-061500-0000','train',0,'loss',1.0,0,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-061500-0000','train',1,'loss',0.5,1,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-061500-0000','train',2,'loss',3.33333333333333314829e-01,2,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-071500-0001','',0,'accuracy',0.97,NULL,'',0.96,0.98,360);
INSERT INTO "metrics" VALUES('20261121-071500-0001','',1,'loss',NULL,NULL,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-071500-0001','train',0,'loss',1.0,0,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-071500-0001','train',1,'loss',0.5,1,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-071500-0001','train',2,'loss',3.33333333333333314829e-01,2,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-081500-0002','',0,'accuracy',0.97,NULL,'',0.96,0.98,360);
INSERT INTO "metrics" VALUES('20261121-081500-0002','',1,'loss',NULL,NULL,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-081500-0002','train',0,'loss',1.0,0,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-081500-0002','train',1,'loss',0.5,1,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-081500-0002','train',2,'loss',3.33333333333333314829e-01,2,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-091500-0003','',0,'accuracy',0.97,NULL,'',0.96,0.98,360);
INSERT INTO "metrics" VALUES('20261121-091500-0003','',1,'loss',NULL,NULL,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-091500-0003','train',0,'loss',1.0,0,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-091500-0003','train',1,'loss',0.5,1,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-091500-0003','train',2,'loss',3.33333333333333314829e-01,2,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-101500-0004','',0,'accuracy',0.97,NULL,'',0.96,0.98,360);
INSERT INTO "metrics" VALUES('20261121-101500-0004','',1,'loss',NULL,NULL,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-101500-0004','train',0,'loss',1.0,0,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-101500-0004','train',1,'loss',0.5,1,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-101500-0004','train',2,'loss',3.33333333333333314829e-01,2,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-111500-0005','',0,'accuracy',0.97,NULL,'',0.96,0.98,360);
INSERT INTO "metrics" VALUES('20261121-111500-0005','',1,'loss',NULL,NULL,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-111500-0005','train',0,'loss',1.0,0,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-111500-0005','train',1,'loss',0.5,1,'',NULL,NULL,0);
INSERT INTO "metrics" VALUES('20261121-111500-0005','train',2,'loss',3.33333333333333314829e-01,2,'',NULL,NULL,0);
CREATE TABLE releases (
    sequence BIGINT NOT NULL PRIMARY KEY,
    model TEXT NOT NULL,
    alias TEXT NOT NULL,
    branch TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    run TEXT NOT NULL,
    digest TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    released_at TEXT NOT NULL
);
INSERT INTO "releases" VALUES(1,'digits','champion','main','3333333333333333333333333333333333333333','20261121-071500-0001','dddddddddddddddddddddddddddddddd.dir','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','2026-11-21T06:15:00.000000+00:00');
CREATE TABLE results (
    fingerprint TEXT NOT NULL PRIMARY KEY,
    spec TEXT NOT NULL,
    step TEXT NOT NULL,
    run TEXT NOT NULL,
    made_at TEXT NOT NULL,
    body TEXT NOT NULL,
    seal TEXT NOT NULL
);
INSERT INTO "results" VALUES('0000000000000000000000000000000000000000000000000000000000000000','digits','data.images','20261121-061500-0000','2026-11-21T06:15:00.000000+00:00','{"facts":{"schema":[1,2]},"large":{"code":"34108a4a7cd77d5b62b96c3bee07fb0716c76397d221534c27bb1e04bbd6ddca"},"metrics":[["rows",4.0]],"outputs":{"dataset":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.dir",99,4]},"parts":{"#observed":{"a.py":"00000000000000000000000000000000"},"it''s":"o''clock"},"seconds":1.5,"warnings":["w"]}','930a6625238fc1a2a06cded5f55d1ed0');
INSERT INTO "results" VALUES('0000000000000000000000000000000000000000000000000000000000000001','digits','data.images','20261121-071500-0001','2026-11-21T07:15:00.000000+00:00','{"facts":{"schema":[1,2]},"large":{"code":"34108a4a7cd77d5b62b96c3bee07fb0716c76397d221534c27bb1e04bbd6ddca"},"metrics":[["rows",4.0]],"outputs":{"dataset":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.dir",99,4]},"parts":{"#observed":{"a.py":"00000000000000000000000000000000"},"it''s":"o''clock"},"seconds":1.5,"warnings":["w"]}','377a382ecbea9b49228313d5ca7bc4d6');
INSERT INTO "results" VALUES('0000000000000000000000000000000000000000000000000000000000000002','digits','data.images','20261121-081500-0002','2026-11-21T08:15:00.000000+00:00','{"facts":{"schema":[1,2]},"large":{"code":"34108a4a7cd77d5b62b96c3bee07fb0716c76397d221534c27bb1e04bbd6ddca"},"metrics":[["rows",4.0]],"outputs":{"dataset":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.dir",99,4]},"parts":{"#observed":{"a.py":"00000000000000000000000000000000"},"it''s":"o''clock"},"seconds":1.5,"warnings":["w"]}','cfea5adceede72c5c0a0985c72ea7eb0');
INSERT INTO "results" VALUES('0000000000000000000000000000000000000000000000000000000000000003','digits','data.images','20261121-091500-0003','2026-11-21T09:15:00.000000+00:00','{"facts":{"schema":[1,2]},"large":{"code":"34108a4a7cd77d5b62b96c3bee07fb0716c76397d221534c27bb1e04bbd6ddca"},"metrics":[["rows",4.0]],"outputs":{"dataset":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.dir",99,4]},"parts":{"#observed":{"a.py":"00000000000000000000000000000000"},"it''s":"o''clock"},"seconds":1.5,"warnings":["w"]}','3968af1733602d7500f398ac151389c3');
INSERT INTO "results" VALUES('0000000000000000000000000000000000000000000000000000000000000004','digits','data.images','20261121-101500-0004','2026-11-21T10:15:00.000000+00:00','{"facts":{"schema":[1,2]},"large":{"code":"34108a4a7cd77d5b62b96c3bee07fb0716c76397d221534c27bb1e04bbd6ddca"},"metrics":[["rows",4.0]],"outputs":{"dataset":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.dir",99,4]},"parts":{"#observed":{"a.py":"00000000000000000000000000000000"},"it''s":"o''clock"},"seconds":1.5,"warnings":["w"]}','8f058aaa62d923852ac4c0e12872ae1b');
INSERT INTO "results" VALUES('0000000000000000000000000000000000000000000000000000000000000005','digits','data.images','20261121-111500-0005','2026-11-21T11:15:00.000000+00:00','{"facts":{"schema":[1,2]},"large":{"code":"34108a4a7cd77d5b62b96c3bee07fb0716c76397d221534c27bb1e04bbd6ddca"},"metrics":[["rows",4.0]],"outputs":{"dataset":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.dir",99,4]},"parts":{"#observed":{"a.py":"00000000000000000000000000000000"},"it''s":"o''clock"},"seconds":1.5,"warnings":["w"]}','fadddaa26b6c3d00fd9ee2410691c935');
CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY,
    spec TEXT NOT NULL,
    spec_path TEXT NOT NULL,
    spec_digest TEXT NOT NULL,
    plan_digest TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    branch TEXT NOT NULL,
    dirty BIGINT NOT NULL,
    overrides TEXT NOT NULL,
    config TEXT NOT NULL,
    state TEXT NOT NULL,
    verdict TEXT,
    reason TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    pid BIGINT NOT NULL,
    host TEXT NOT NULL,
    model_digest TEXT NOT NULL
);
INSERT INTO "runs" VALUES('20261121-061500-0000','digits','specs/digits','1111111111111111111111111111111111111111111111111111111111111111','2222222222222222222222222222222222222222222222222222222222222222','3333333333333333333333333333333333333333','main',0,'["params.lr=0.01"]','e22544a40accb9ddaf6590949ebcbefcd3351f300dc30c172836d9c4dcf3b9b9','running',NULL,'','2026-11-21T06:15:00.000000+00:00',NULL,4242,'desk','dddddddddddddddddddddddddddddddd.dir');
INSERT INTO "runs" VALUES('20261121-071500-0001','digits','specs/digits','1111111111111111111111111111111111111111111111111111111111111111','2222222222222222222222222222222222222222222222222222222222222222','3333333333333333333333333333333333333333','main',1,'["params.lr=0.01"]','e22544a40accb9ddaf6590949ebcbefcd3351f300dc30c172836d9c4dcf3b9b9','done','pass','all gates passed','2026-11-21T07:15:00.000000+00:00','2026-11-21T07:16:00.000000+00:00',4242,'desk','dddddddddddddddddddddddddddddddd.dir');
INSERT INTO "runs" VALUES('20261121-081500-0002','digits','specs/digits','1111111111111111111111111111111111111111111111111111111111111111','2222222222222222222222222222222222222222222222222222222222222222','3333333333333333333333333333333333333333','main',0,'["params.lr=0.01"]','e22544a40accb9ddaf6590949ebcbefcd3351f300dc30c172836d9c4dcf3b9b9','done','warn','a gate warned','2026-11-21T08:15:00.000000+00:00','2026-11-21T08:16:00.000000+00:00',4242,'desk','dddddddddddddddddddddddddddddddd.dir');
INSERT INTO "runs" VALUES('20261121-091500-0003','digits','specs/digits','1111111111111111111111111111111111111111111111111111111111111111','2222222222222222222222222222222222222222222222222222222222222222','3333333333333333333333333333333333333333','main',1,'["params.lr=0.01"]','e22544a40accb9ddaf6590949ebcbefcd3351f300dc30c172836d9c4dcf3b9b9','done','fail','accuracy 0.81 < 0.9','2026-11-21T09:15:00.000000+00:00','2026-11-21T09:16:00.000000+00:00',4242,'desk','dddddddddddddddddddddddddddddddd.dir');
INSERT INTO "runs" VALUES('20261121-101500-0004','digits','specs/digits','1111111111111111111111111111111111111111111111111111111111111111','2222222222222222222222222222222222222222222222222222222222222222','3333333333333333333333333333333333333333','main',0,'["params.lr=0.01"]','e22544a40accb9ddaf6590949ebcbefcd3351f300dc30c172836d9c4dcf3b9b9','done','error','the cluster is gone','2026-11-21T10:15:00.000000+00:00','2026-11-21T10:16:00.000000+00:00',4242,'desk','dddddddddddddddddddddddddddddddd.dir');
INSERT INTO "runs" VALUES('20261121-111500-0005','digits','specs/digits','1111111111111111111111111111111111111111111111111111111111111111','2222222222222222222222222222222222222222222222222222222222222222','3333333333333333333333333333333333333333','main',1,'["params.lr=0.01"]','e22544a40accb9ddaf6590949ebcbefcd3351f300dc30c172836d9c4dcf3b9b9','interrupted','error','interrupted by the user','2026-11-21T11:15:00.000000+00:00','2026-11-21T11:16:00.000000+00:00',4242,'desk','dddddddddddddddddddddddddddddddd.dir');
CREATE TABLE steps (
    run TEXT NOT NULL,
    name TEXT NOT NULL,
    position BIGINT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    seconds DOUBLE PRECISION NOT NULL,
    attempt BIGINT NOT NULL,
    fingerprint TEXT NOT NULL,
    outputs TEXT NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    resources TEXT NOT NULL,
    PRIMARY KEY (run, name)
);
INSERT INTO "steps" VALUES('20261121-061500-0000','data.images',0,'data','running','never made before',1.5,1,'0000000000000000000000000000000000000000000000000000000000000000','{"dataset":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.dir",99,4]}','2026-11-21T06:15:00.000000+00:00',NULL,'{"cpus":1.0}');
INSERT INTO "steps" VALUES('20261121-061500-0000','train',1,'call','waiting','',0.0,0,'','{}',NULL,NULL,'{}');
INSERT INTO "steps" VALUES('20261121-071500-0001','data.images',0,'data','ran','never made before',1.5,1,'0000000000000000000000000000000000000000000000000000000000000001','{"dataset":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.dir",99,4]}','2026-11-21T07:15:00.000000+00:00','2026-11-21T07:15:02.000000+00:00','{"cpus":1.0}');
INSERT INTO "steps" VALUES('20261121-071500-0001','train',1,'call','waiting','',0.0,0,'','{}',NULL,NULL,'{}');
INSERT INTO "steps" VALUES('20261121-081500-0002','data.images',0,'data','reused','never made before',1.5,1,'0000000000000000000000000000000000000000000000000000000000000002','{"dataset":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.dir",99,4]}','2026-11-21T08:15:00.000000+00:00','2026-11-21T08:15:02.000000+00:00','{"cpus":1.0}');
INSERT INTO "steps" VALUES('20261121-081500-0002','train',1,'call','waiting','',0.0,0,'','{}',NULL,NULL,'{}');
INSERT INTO "steps" VALUES('20261121-091500-0003','data.images',0,'data','failed','never made before',1.5,1,'0000000000000000000000000000000000000000000000000000000000000003','{"dataset":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.dir",99,4]}','2026-11-21T09:15:00.000000+00:00','2026-11-21T09:15:02.000000+00:00','{"cpus":1.0}');
INSERT INTO "steps" VALUES('20261121-091500-0003','train',1,'call','waiting','',0.0,0,'','{}',NULL,NULL,'{}');
INSERT INTO "steps" VALUES('20261121-101500-0004','data.images',0,'data','skipped','never made before',1.5,1,'0000000000000000000000000000000000000000000000000000000000000004','{"dataset":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.dir",99,4]}','2026-11-21T10:15:00.000000+00:00','2026-11-21T10:15:02.000000+00:00','{"cpus":1.0}');
INSERT INTO "steps" VALUES('20261121-101500-0004','train',1,'call','waiting','',0.0,0,'','{}',NULL,NULL,'{}');
INSERT INTO "steps" VALUES('20261121-111500-0005','data.images',0,'data','cancelled','never made before',1.5,1,'0000000000000000000000000000000000000000000000000000000000000005','{"dataset":["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.dir",99,4]}','2026-11-21T11:15:00.000000+00:00','2026-11-21T11:15:02.000000+00:00','{"cpus":1.0}');
INSERT INTO "steps" VALUES('20261121-111500-0005','train',1,'call','waiting','',0.0,0,'','{}',NULL,NULL,'{}');
CREATE INDEX runs_by_time ON runs (started_at, id);
CREATE INDEX runs_by_spec ON runs (spec, started_at, id);
CREATE INDEX runs_by_state ON runs (state, started_at, id);
CREATE INDEX results_by_step ON results (spec, step, made_at);
CREATE INDEX releases_by_model ON releases (model, sequence);
