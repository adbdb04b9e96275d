CREATE TABLE alias_moves (
    sequence BIGINT NOT NULL PRIMARY KEY,
    model TEXT NOT NULL,
    alias TEXT NOT NULL,
    digest TEXT NOT NULL,
    released BIGINT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    moved_at TEXT NOT NULL
);
INSERT INTO "alias_moves" VALUES(1,'digits','champion','00000000000000000000000000000001.dir',1,'','released by run run-1','2026-12-01T00:00:00.000000+00:00');
INSERT INTO "alias_moves" VALUES(2,'digits','champion','00000000000000000000000000000002.dir',2,'','released by run run-2','2026-12-01T00:00:00.000000+00:00');
INSERT INTO "alias_moves" VALUES(3,'digits','champion','00000000000000000000000000000001.dir',1,'ann','2 is slow','2026-12-01T00:00:31.000000+00:00');
CREATE TABLE approvals (
    repo TEXT NOT NULL,
    pull BIGINT NOT NULL,
    commit_id TEXT NOT NULL,
    who TEXT NOT NULL,
    given_at TEXT NOT NULL,
    PRIMARY KEY (repo, pull, commit_id)
);
INSERT INTO "approvals" VALUES('acme/models',6,'0000000000000000000000000000000000000008','bob','2026-12-01T00:00:25.000000+00:00');
CREATE TABLE changes (
    id TEXT NOT NULL PRIMARY KEY,
    known_as TEXT NOT NULL,
    line TEXT NOT NULL,
    repo TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    ref TEXT NOT NULL,
    pull BIGINT NOT NULL,
    fork BIGINT NOT NULL,
    head_repo_id TEXT NOT NULL,
    serial BIGINT NOT NULL,
    specs TEXT NOT NULL,
    overrides TEXT NOT NULL,
    cause TEXT NOT NULL,
    state TEXT NOT NULL,
    verdict TEXT,
    reason TEXT NOT NULL,
    made_at TEXT NOT NULL
);
INSERT INTO "changes" VALUES('change-000001','f22cc56e703a1e035fb91d8b27165c27','32c15d6647c405125dd13bcf413cb859','acme/models','0000000000000000000000000000000000000001','push','refs/heads/main',0,0,'',0,'[]','[]','pushed by ann','new',NULL,'','2026-12-01T00:00:01.000000+00:00');
INSERT INTO "changes" VALUES('change-000002','297f2c9cbecc69c40e279c00d762d40d','32c15d6647c405125dd13bcf413cb859','acme/models','0000000000000000000000000000000000000002','push','refs/heads/main',0,0,'',0,'[]','[]','pushed by ann','new',NULL,'','2026-12-01T00:00:01.000000+00:00');
INSERT INTO "changes" VALUES('change-000003','5cebe202ea306765f80046937aa7757e','32c15d6647c405125dd13bcf413cb859','acme/models','0000000000000000000000000000000000000003','push','refs/heads/main',0,0,'',0,'[]','[]','pushed by ann','split',NULL,'','2026-12-01T00:00:03.000000+00:00');
INSERT INTO "changes" VALUES('change-000004','3cb420b9fed4260355794cab01a24590','32c15d6647c405125dd13bcf413cb859','acme/models','0000000000000000000000000000000000000004','push','refs/heads/main',0,0,'',0,'[]','[]','pushed by ann','split',NULL,'','2026-12-01T00:00:07.000000+00:00');
INSERT INTO "changes" VALUES('change-000005','56844d74113e4c455c3002f6386ec1a6','32c15d6647c405125dd13bcf413cb859','acme/models','0000000000000000000000000000000000000005','push','refs/heads/main',0,0,'',0,'[]','[]','pushed by ann','split',NULL,'','2026-12-01T00:00:10.000000+00:00');
INSERT INTO "changes" VALUES('change-000006','1a1f65ef8663934f2aa5c99ddb77ec1c','32c15d6647c405125dd13bcf413cb859','acme/models','0000000000000000000000000000000000000006','push','refs/heads/main',0,0,'',0,'[]','[]','pushed by ann','split',NULL,'','2026-12-01T00:00:13.000000+00:00');
INSERT INTO "changes" VALUES('change-000007','ace379981c99269b55df87aa0e94aa3d','32c15d6647c405125dd13bcf413cb859','acme/models','0000000000000000000000000000000000000007','push','refs/heads/main',0,0,'',0,'[]','[]','pushed by ann','split',NULL,'','2026-12-01T00:00:17.000000+00:00');
INSERT INTO "changes" VALUES('change-000008','f9ddfa6d751933c5b82a6d14a32674c0','27678012aa2afa37693916da0caab63e','acme/models','0000000000000000000000000000000000000008','pull_request','refs/heads/main',5,1,'',0,'[]','[]','pushed by ann','split',NULL,'','2026-12-01T00:00:19.000000+00:00');
INSERT INTO "changes" VALUES('change-000009','49d434410dc1e781eedf5400a65bc83e','32c15d6647c405125dd13bcf413cb859','acme/models','0000000000000000000000000000000000000009','push','refs/heads/main',0,0,'',0,'[]','[]','pushed by ann','done','error','digits: ann said so','2026-12-01T00:00:21.000000+00:00');
INSERT INTO "changes" VALUES('change-000108','857609d271a5006628c6c73b760d3c5e','5f156c5a688724ccb71df4a6ec24567e','acme/models','0000000000000000000000000000000000000008','pull_request','refs/heads/main',6,1,'',0,'[]','[]','pushed by ann','new',NULL,'','2026-12-01T00:00:24.000000+00:00');
CREATE TABLE channels (
    address TEXT NOT NULL PRIMARY KEY,
    repo TEXT NOT NULL,
    channel TEXT NOT NULL,
    memory TEXT NOT NULL,
    sent BIGINT NOT NULL,
    digest TEXT NOT NULL,
    sent_at TEXT NOT NULL
);
INSERT INTO "channels" VALUES('205ea0b38883e905527f0516cdaa59db','acme/models','0000000000000000000000000000000000000001 fiat/push','a comment''s id',1,'a1a0cebbb2665bcf4adebed3f14e8f5f8f3c9496e64a614c7eba8eef047990aa','2026-12-01T00:00:27.000000+00:00');
CREATE TABLE deliveries (
    sequence BIGINT NOT NULL PRIMARY KEY,
    known_as TEXT NOT NULL,
    says TEXT NOT NULL,
    forge TEXT NOT NULL,
    id TEXT NOT NULL,
    body_key TEXT NOT NULL,
    event TEXT NOT NULL,
    repo_id TEXT NOT NULL,
    repo_name TEXT NOT NULL,
    sender_id TEXT NOT NULL,
    sender_name TEXT NOT NULL,
    happenings TEXT NOT NULL,
    state TEXT NOT NULL,
    note TEXT NOT NULL,
    taken_at TEXT NOT NULL
);
INSERT INTO "deliveries" VALUES(1,'7449cfbb3f7d1471ac7a2a8c9a64ece3','85a5b7f8a3b88c6aa0755d6b558efbbf','github','delivery-1','body-1','push','42','acme/models','7','ann','[{"before":"0000000000000000000000000000000000000000","commit":"0000000000000000000000000000000000000001","kind":"pushed","ref":"refs/heads/main"}]','done','','2026-12-01T00:00:01.000000+00:00');
INSERT INTO "deliveries" VALUES(2,'f13f10f59cd74b4c0f514ec5372ea963','347500f3159c9559873d03f204adf840','github','delivery-2','body-2','push','42','acme/models','7','ann','[{"before":"0000000000000000000000000000000000000001","commit":"0000000000000000000000000000000000000002","kind":"pushed","ref":"refs/heads/main"}]','done','','2026-12-01T00:00:01.000000+00:00');
INSERT INTO "deliveries" VALUES(3,'ca0ee9f98e7553ad3fa30f9e86638807','85a5b7f8a3b88c6aa0755d6b558efbbf','github','replayed','body-1','push','42','acme/models','7','ann','[{"before":"0000000000000000000000000000000000000000","commit":"0000000000000000000000000000000000000001","kind":"pushed","ref":"refs/heads/main"}]','replay','the same body as delivery-1','2026-12-01T00:00:01.000000+00:00');
INSERT INTO "deliveries" VALUES(4,'c5b8403c52f988893edd9347971eb5d3','daa3c6258f643985ac7aeb41f02eb99e','github','delivery-20','body-20','push','42','acme/models','7','ann','[{"comment_id":"c1","commit":"","kind":"commented","pull":3,"text":"/fiat run"}]','done','done','2026-12-01T00:00:02.000000+00:00');
INSERT INTO "deliveries" VALUES(5,'e00c1f0876d55dc0923c31604d0f95e0','c9a96c24fe9447a45770ea038c9bf873','github','delivery-21','body-21','push','42','acme/models','7','ann','[{"comment_id":"c1","commit":"","kind":"commented","pull":3,"text":"/fiat run"}]','failed','the forge did not answer','2026-12-01T00:00:02.000000+00:00');
INSERT INTO "deliveries" VALUES(6,'f6eb48977fd11b77beb46698fd323670','6c2bf29d7c5b82e6f1f69a21496ec339','github','delivery-22','body-22','push','42','acme/models','7','ann','[{"comment_id":"c1","commit":"","kind":"commented","pull":3,"text":"/fiat run"}]','received','','2026-12-01T00:00:02.000000+00:00');
CREATE TABLE deployments (
    sequence BIGINT NOT NULL PRIMARY KEY,
    place TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    spec TEXT NOT NULL,
    model TEXT NOT NULL,
    digest TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    run TEXT NOT NULL,
    generation BIGINT NOT NULL,
    cause TEXT NOT NULL,
    approver TEXT NOT NULL,
    settings TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    began_at TEXT NOT NULL,
    ended_at TEXT
);
INSERT INTO "deployments" VALUES(1,'live:digits','service','live','digits','digits','00000000000000000000000000000001.dir','0000000000000000000000000000000000000001','run-1',1,'pushed by ann','','{"port": 8000}','deployed','said the target','2026-12-01T00:00:00.000000+00:00','2026-12-01T00:00:00.000000+00:00');
INSERT INTO "deployments" VALUES(2,'live:digits','service','live','digits','digits','00000000000000000000000000000002.dir','0000000000000000000000000000000000000002','run-2',2,'pushed by ann','','{"port": 8000}','refused','said the target','2026-12-01T00:00:00.000000+00:00','2026-12-01T00:00:00.000000+00:00');
CREATE TABLE documents (digest TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL);
INSERT INTO "documents" VALUES('44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a','{}');
CREATE TABLE ends (
    repo TEXT NOT NULL,
    verdict TEXT NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (repo, verdict)
);
INSERT INTO "ends" VALUES('acme/models','pass',1);
INSERT INTO "ends" VALUES('acme/models','error',1);
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
CREATE TABLE heads (
    line TEXT NOT NULL PRIMARY KEY,
    repo TEXT NOT NULL,
    purpose TEXT NOT NULL,
    change TEXT NOT NULL
);
INSERT INTO "heads" VALUES('32c15d6647c405125dd13bcf413cb859','acme/models','push','change-000009');
INSERT INTO "heads" VALUES('27678012aa2afa37693916da0caab63e','acme/models','pull_request','change-000008');
INSERT INTO "heads" VALUES('5f156c5a688724ccb71df4a6ec24567e','acme/models','pull_request','change-000108');
CREATE TABLE holds (
    place TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    held_at TEXT NOT NULL,
    PRIMARY KEY (place, commit_id, digest)
);
INSERT INTO "holds" VALUES('live:digits','0000000000000000000000000000000000000002','00000000000000000000000000000002.dir','rollout','more errors than before','2026-12-01T00:00:00.000000+00:00');
CREATE TABLE marks (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "marks" VALUES('heads acme/models','{}');
CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "meta" VALUES('schema_version','3');
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
CREATE TABLE model_marks (
    sequence BIGINT NOT NULL PRIMARY KEY,
    model TEXT NOT NULL,
    digest TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    who TEXT NOT NULL,
    marked_at TEXT NOT NULL
);
INSERT INTO "model_marks" VALUES(1,'digits','00000000000000000000000000000001.dir','tag','reviewed','yes','ann','2026-12-01T00:00:32.000000+00:00');
INSERT INTO "model_marks" VALUES(2,'digits','00000000000000000000000000000001.dir','note','','good on rainy days','bob','2026-12-01T00:00:33.000000+00:00');
CREATE TABLE outbox (
    id BIGINT NOT NULL PRIMARY KEY,
    address TEXT NOT NULL,
    repo TEXT NOT NULL,
    channel TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    reason TEXT NOT NULL,
    report TEXT NOT NULL,
    digest TEXT NOT NULL,
    written_at TEXT NOT NULL,
    set_at TEXT NOT NULL,
    not_before TEXT NOT NULL
);
INSERT INTO "outbox" VALUES(1,'205ea0b38883e905527f0516cdaa59db','acme/models','0000000000000000000000000000000000000001 fiat/push','sent',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000001","context":"fiat/push","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','a1a0cebbb2665bcf4adebed3f14e8f5f8f3c9496e64a614c7eba8eef047990aa','2026-12-01T00:00:01.000000+00:00','2026-12-01T00:00:01.000000+00:00','2026-12-01T00:00:01.000000+00:00');
INSERT INTO "outbox" VALUES(2,'db64b36089abe30d842ca50bc2761abb','acme/models','0000000000000000000000000000000000000002 fiat/push','waiting',1,'502','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000002","context":"fiat/push","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','de88cae820ccfabed6cd34af28ecb5fa2229a48ffcab35ec1ae6b925fa8bb657','2026-12-01T00:00:01.000000+00:00','2026-12-01T00:00:28.000000+00:00','2026-12-01T00:01:28.000000+00:00');
INSERT INTO "outbox" VALUES(3,'0794ac647a66ea18b33305530a25591e','acme/models','0000000000000000000000000000000000000003 fiat/push','waiting',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000003","context":"fiat/push","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','e0299a0aba7ff668e041bcc57f68f7cbf983c634171d652aff9ce7e61588f832','2026-12-01T00:00:03.000000+00:00','2026-12-01T00:00:03.000000+00:00','2026-12-01T00:00:03.000000+00:00');
INSERT INTO "outbox" VALUES(4,'8a2d841a7a69a9bbc09b146b53f5ccdb','acme/models','0000000000000000000000000000000000000003 fiat/push/a','replaced',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000003","context":"fiat/push/a","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','1d49934baf39d2128cdd332ed9a8bda6572edee84084cb030c05b1d37dd59c94','2026-12-01T00:00:04.000000+00:00','2026-12-01T00:00:04.000000+00:00','2026-12-01T00:00:04.000000+00:00');
INSERT INTO "outbox" VALUES(5,'d6281057bae682efd386c4736d690709','acme/models','0000000000000000000000000000000000000003 fiat/push/b','waiting',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000003","context":"fiat/push/b","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','3f2d2a3787c7191a18fff2977125f3d619c3987fdcb6dbe62e3414c7dfafe302','2026-12-01T00:00:04.000000+00:00','2026-12-01T00:00:04.000000+00:00','2026-12-01T00:00:04.000000+00:00');
INSERT INTO "outbox" VALUES(6,'8a2d841a7a69a9bbc09b146b53f5ccdb','acme/models','0000000000000000000000000000000000000003 fiat/push/a','waiting',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000003","context":"fiat/push/a","description":"good","head_repo_id":"","kind":"check","ref":"","state":"success","summary":"","url":""}','24f4b64e17cd6a66950895bd6ecce17ec4d5723d274ce640730fdabc2a959a5f','2026-12-01T00:00:06.000000+00:00','2026-12-01T00:00:04.000000+00:00','2026-12-01T00:00:04.000000+00:00');
INSERT INTO "outbox" VALUES(7,'66dc3a2d832829203bb5874b43fccbba','acme/models','0000000000000000000000000000000000000004 fiat/push','waiting',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000004","context":"fiat/push","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','10f16a618b300be687c3f6b6a5e77972630411d855df58ff70f849aa0d93ee12','2026-12-01T00:00:07.000000+00:00','2026-12-01T00:00:07.000000+00:00','2026-12-01T00:00:07.000000+00:00');
INSERT INTO "outbox" VALUES(8,'26ec0e95b8ee87027fbb966ff546145b','acme/models','0000000000000000000000000000000000000004 fiat/push/digits','waiting',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000004","context":"fiat/push/digits","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','46dcabc1d95119f1b01f0a074347666e6119751c787539182366084d6e2dd66f','2026-12-01T00:00:08.000000+00:00','2026-12-01T00:00:08.000000+00:00','2026-12-01T00:00:08.000000+00:00');
INSERT INTO "outbox" VALUES(9,'1c5ee29aa2622397702719d1be5ca326','acme/models','0000000000000000000000000000000000000005 fiat/push','waiting',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000005","context":"fiat/push","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','655bb185cf8aab38d14e8384136e986f40fa74ab59cd0be0d3978084c23a5e38','2026-12-01T00:00:10.000000+00:00','2026-12-01T00:00:10.000000+00:00','2026-12-01T00:00:10.000000+00:00');
INSERT INTO "outbox" VALUES(10,'e11cba770c6d725e2f42656f5aa52cc9','acme/models','0000000000000000000000000000000000000005 fiat/push/digits','waiting',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000005","context":"fiat/push/digits","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','2d232398e312a8eeb72e3f8672038b592290773ad6bca2be1e3bb14fb6c0f897','2026-12-01T00:00:11.000000+00:00','2026-12-01T00:00:11.000000+00:00','2026-12-01T00:00:11.000000+00:00');
INSERT INTO "outbox" VALUES(11,'869e8024fa4bb4436fb4002a6ea32093','acme/models','0000000000000000000000000000000000000006 fiat/push','waiting',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000006","context":"fiat/push","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','4cc04dcfa5ef3cd8ee1d5829f3e7da0b2b644f1c687843307d35ffefd8ae7cfe','2026-12-01T00:00:13.000000+00:00','2026-12-01T00:00:13.000000+00:00','2026-12-01T00:00:13.000000+00:00');
INSERT INTO "outbox" VALUES(12,'bbaac97d2997326136dee3b07af6ed40','acme/models','0000000000000000000000000000000000000006 fiat/push/digits','waiting',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000006","context":"fiat/push/digits","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','47f310b3791f84d84e7c651dd72f1e582640a785b6ee4908dc933dbcce5243b8','2026-12-01T00:00:14.000000+00:00','2026-12-01T00:00:14.000000+00:00','2026-12-01T00:00:14.000000+00:00');
INSERT INTO "outbox" VALUES(13,'9d8a152b7ab50c180822c49d7d72383e','acme/models','0000000000000000000000000000000000000007 fiat/push','waiting',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000007","context":"fiat/push","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','3f017a5d6b0b723728075754832e7b1c0413e89684e80f50b05ee3ee0d225204','2026-12-01T00:00:17.000000+00:00','2026-12-01T00:00:17.000000+00:00','2026-12-01T00:00:17.000000+00:00');
INSERT INTO "outbox" VALUES(14,'148194008bf1f7ad044dabf4c2b9648f','acme/models','0000000000000000000000000000000000000007 fiat/push/digits','waiting',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000007","context":"fiat/push/digits","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','c1e82636a0d4ac4955cee7d7a69a77261c5a8c741dde2ea5f1361fd81738c0c0','2026-12-01T00:00:18.000000+00:00','2026-12-01T00:00:18.000000+00:00','2026-12-01T00:00:18.000000+00:00');
INSERT INTO "outbox" VALUES(15,'a2b6531c1158099341ec5c58148e1821','acme/models','0000000000000000000000000000000000000008 fiat/push','waiting',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000008","context":"fiat/push","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','bc0af5ead90cae214a1e7ca07ecd969c5d25e6995b71286b4a65350277afe43c','2026-12-01T00:00:19.000000+00:00','2026-12-01T00:00:19.000000+00:00','2026-12-01T00:00:19.000000+00:00');
INSERT INTO "outbox" VALUES(16,'5cf54dc91c386e320b1fe57d2b3a3703','acme/models','0000000000000000000000000000000000000008 fiat/push/digits','waiting',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000008","context":"fiat/push/digits","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','1e46a37bdf92137f1b770edaa9ff204dab17529edb697bbf52fe85d5722e8e4b','2026-12-01T00:00:20.000000+00:00','2026-12-01T00:00:20.000000+00:00','2026-12-01T00:00:20.000000+00:00');
INSERT INTO "outbox" VALUES(17,'5c26d23b7d18671dbf434e941687b0f8','acme/models','0000000000000000000000000000000000000009 fiat/push','replaced',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000009","context":"fiat/push","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','18044649c6fcaadb501ba9afe8e5c7311b944ac2e8227596339434a1cd838da0','2026-12-01T00:00:21.000000+00:00','2026-12-01T00:00:21.000000+00:00','2026-12-01T00:00:21.000000+00:00');
INSERT INTO "outbox" VALUES(18,'c89b54cc15a59fb2ec60c3ddf290fb15','acme/models','0000000000000000000000000000000000000009 fiat/push/digits','replaced',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000009","context":"fiat/push/digits","description":"queued","head_repo_id":"","kind":"check","ref":"","state":"pending","summary":"","url":""}','c69d6c88878ff5245694cb1dd1da76699718fd9770bb3155c419a0b6a4a68adc','2026-12-01T00:00:22.000000+00:00','2026-12-01T00:00:22.000000+00:00','2026-12-01T00:00:22.000000+00:00');
INSERT INTO "outbox" VALUES(19,'c89b54cc15a59fb2ec60c3ddf290fb15','acme/models','0000000000000000000000000000000000000009 fiat/push/digits','waiting',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000009","context":"fiat/push/digits","description":"ann said so","head_repo_id":"","kind":"check","ref":"","state":"error","summary":"","url":""}','c7a84b3ea530a918623c1c77fc549f5b0922749d841a17b2b3ab2f8a22cb745c','2026-12-01T00:00:23.000000+00:00','2026-12-01T00:00:22.000000+00:00','2026-12-01T00:00:22.000000+00:00');
INSERT INTO "outbox" VALUES(20,'5c26d23b7d18671dbf434e941687b0f8','acme/models','0000000000000000000000000000000000000009 fiat/push','waiting',0,'','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000009","context":"fiat/push","description":"digits: ann said so","head_repo_id":"","kind":"check","ref":"","state":"error","summary":"","url":""}','2136c7fb830e1d6e8826dce29940463a978372ee897adb3e297add68a2ee8a59','2026-12-01T00:00:23.000000+00:00','2026-12-01T00:00:21.000000+00:00','2026-12-01T00:00:21.000000+00:00');
INSERT INTO "outbox" VALUES(21,'81251e66a6ba3c87db0e97278439507f','acme/models','0000000000000000000000000000000000000063 fiat/push','dead',1,'404','{"annotations":[],"cancelled":false,"commit":"0000000000000000000000000000000000000063","context":"fiat/push","description":"good","head_repo_id":"","kind":"check","ref":"","state":"success","summary":"","url":""}','c2ed4ea10e4965a332d1586820d054c85a0cf3227d3ed7e6cd2b5743d892e383','2026-12-01T00:00:29.000000+00:00','2026-12-01T00:00:29.000000+00:00','2026-12-01T00:00:29.000000+00:00');
CREATE TABLE queue (
    id TEXT NOT NULL PRIMARY KEY,
    change TEXT NOT NULL,
    repo TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    ref TEXT NOT NULL,
    pull BIGINT NOT NULL,
    fork BIGINT NOT NULL,
    head_repo_id TEXT NOT NULL,
    spec TEXT NOT NULL,
    spec_path TEXT NOT NULL,
    state TEXT NOT NULL,
    phase TEXT NOT NULL,
    group_name TEXT NOT NULL,
    lane TEXT NOT NULL,
    holds BIGINT NOT NULL,
    supersede BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    overrides TEXT NOT NULL,
    cause TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    beat BIGINT NOT NULL,
    worker TEXT NOT NULL,
    cancel TEXT NOT NULL,
    gpu_seconds DOUBLE PRECISION NOT NULL,
    queued_at TEXT NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    verdict TEXT,
    reason TEXT NOT NULL
);
INSERT INTO "queue" VALUES('run-000003-a','change-000003','acme/models','0000000000000000000000000000000000000003','push','refs/heads/main',0,0,'','a','specs/a/spec.yaml','done','train','','',0,1,9,'[]','',1,1,1,'','',0.0,'2026-12-01T00:00:04.000000+00:00','2026-12-01T00:00:05.000000+00:00','2026-12-01T00:00:06.000000+00:00','pass','good');
INSERT INTO "queue" VALUES('run-000003-b','change-000003','acme/models','0000000000000000000000000000000000000003','push','refs/heads/main',0,0,'','b','specs/b/spec.yaml','waiting','train','','',0,1,0,'[]','',0,0,0,'','',0.0,'2026-12-01T00:00:04.000000+00:00',NULL,NULL,NULL,'');
INSERT INTO "queue" VALUES('run-000004-digits','change-000004','acme/models','0000000000000000000000000000000000000004','push','refs/heads/main',0,0,'','digits','specs/digits/spec.yaml','running','train','g','1198eef098cdc91afeb525a4d94a5ac2',1,1,8,'[]','',1,1,1,'host:1:0','',0.0,'2026-12-01T00:00:08.000000+00:00','2026-12-01T00:00:09.000000+00:00',NULL,NULL,'');
INSERT INTO "queue" VALUES('run-000005-digits','change-000005','acme/models','0000000000000000000000000000000000000005','push','refs/heads/main',0,0,'','digits','specs/digits/spec.yaml','running','deploy','h','a15e38318bee940231ce81ab94c498fb',1,1,7,'[]','',1,1,1,'host:1:0','',0.0,'2026-12-01T00:00:11.000000+00:00','2026-12-01T00:00:12.000000+00:00',NULL,NULL,'');
INSERT INTO "queue" VALUES('run-000006-digits','change-000006','acme/models','0000000000000000000000000000000000000006','push','refs/heads/main',0,0,'','digits','specs/digits/spec.yaml','running','train','','',1,1,6,'[]','',1,1,1,'host:1:0','ann said so',0.0,'2026-12-01T00:00:14.000000+00:00','2026-12-01T00:00:15.000000+00:00',NULL,NULL,'');
INSERT INTO "queue" VALUES('run-000007-digits','change-000007','acme/models','0000000000000000000000000000000000000007','push','refs/heads/main',0,0,'','digits','specs/digits/spec.yaml','waiting','train','g','1198eef098cdc91afeb525a4d94a5ac2',0,0,0,'[]','',0,0,0,'','',0.0,'2026-12-01T00:00:18.000000+00:00',NULL,NULL,NULL,'');
INSERT INTO "queue" VALUES('run-000008-digits','change-000008','acme/models','0000000000000000000000000000000000000008','pull_request','refs/heads/main',5,1,'','digits','specs/digits/spec.yaml','held','train','','',0,1,0,'[]','',0,0,0,'','',0.0,'2026-12-01T00:00:20.000000+00:00',NULL,NULL,NULL,'');
INSERT INTO "queue" VALUES('run-000009-digits','change-000009','acme/models','0000000000000000000000000000000000000009','push','refs/heads/main',0,0,'','digits','specs/digits/spec.yaml','done','train','','',0,1,0,'[]','',0,1,0,'','',0.0,'2026-12-01T00:00:22.000000+00:00',NULL,'2026-12-01T00:00:23.000000+00:00','error','ann said so');
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
INSERT INTO "releases" VALUES(1,'digits','champion','main','0000000000000000000000000000000000000001','run-1','00000000000000000000000000000001.dir','0000000000000000000000000000000000000000000000000000000000000001','2026-12-01T00:00:00.000000+00:00');
INSERT INTO "releases" VALUES(2,'digits','champion','main','0000000000000000000000000000000000000002','run-2','00000000000000000000000000000002.dir','0000000000000000000000000000000000000000000000000000000000000002','2026-12-01T00:00:00.000000+00:00');
CREATE TABLE results (
    fingerprint TEXT NOT NULL PRIMARY KEY,
    spec TEXT NOT NULL,
    step TEXT NOT NULL,
    run TEXT NOT NULL,
    made_at TEXT NOT NULL,
    body TEXT NOT NULL,
    seal TEXT NOT NULL,
    retired_at TEXT
);
INSERT INTO "results" VALUES('0000000000000000000000000000000000000000000000000000000000000004','digits','data','run-000004-digits','2026-12-01T00:00:00.000000+00:00','{"facts":{},"large":{},"metrics":[],"outputs":{},"parts":{"#observed":{}},"seconds":0.0,"warnings":[]}','bd78b2827bfedbb23343bef8826778c0',NULL);
INSERT INTO "results" VALUES('0000000000000000000000000000000000000000000000000000000000000005','digits','data','run-000005-digits','2026-12-01T00:00:00.000000+00:00','{"facts":{},"large":{},"metrics":[],"outputs":{},"parts":{"#observed":{}},"seconds":0.0,"warnings":[]}','09f51f4821cae816c5c8e0283445abab',NULL);
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
INSERT INTO "runs" VALUES('run-000004-digits','digits','','','','0000000000000000000000000000000000000004','main',0,'[]','44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a','running',NULL,'','2026-12-01T00:00:00.000000+00:00',NULL,0,'','');
INSERT INTO "runs" VALUES('run-000005-digits','digits','','','','0000000000000000000000000000000000000005','main',0,'[]','44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a','running',NULL,'','2026-12-01T00:00:00.000000+00:00',NULL,0,'','');
CREATE TABLE seats (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    fence BIGINT NOT NULL,
    beat BIGINT NOT NULL
);
INSERT INTO "seats" VALUES('sender','host:1:0',1,1);
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
INSERT INTO "steps" VALUES('run-000004-digits','data',0,'data','ran','',0.0,0,'0000000000000000000000000000000000000000000000000000000000000004','{}',NULL,NULL,'{}');
INSERT INTO "steps" VALUES('run-000004-digits','train',1,'call','running','',0.0,0,'','{}','2026-12-01T00:00:00.000000+00:00',NULL,'{}');
INSERT INTO "steps" VALUES('run-000005-digits','data',0,'data','ran','',0.0,0,'0000000000000000000000000000000000000000000000000000000000000005','{}',NULL,NULL,'{}');
INSERT INTO "steps" VALUES('run-000005-digits','train',1,'call','running','',0.0,0,'','{}','2026-12-01T00:00:00.000000+00:00',NULL,'{}');
CREATE TABLE tallies (
    forge TEXT NOT NULL,
    event TEXT NOT NULL,
    outcome TEXT NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (forge, event, outcome)
);
INSERT INTO "tallies" VALUES('github','push','new',5);
INSERT INTO "tallies" VALUES('github','push','replay',1);
INSERT INTO "tallies" VALUES('github','push','failed',1);
CREATE TABLE tracks (
    track TEXT NOT NULL PRIMARY KEY,
    line TEXT NOT NULL,
    run TEXT NOT NULL
);
INSERT INTO "tracks" VALUES('5618840730eccb4f2f7739db4b688892','32c15d6647c405125dd13bcf413cb859','run-000003-a');
INSERT INTO "tracks" VALUES('0523cc32b1380cd9e88b17a57b9a3a61','32c15d6647c405125dd13bcf413cb859','run-000003-b');
INSERT INTO "tracks" VALUES('4892d941c36d9e5b69d4b58f999cafd4','32c15d6647c405125dd13bcf413cb859','run-000009-digits');
CREATE TABLE turns (repo TEXT NOT NULL PRIMARY KEY, turn BIGINT NOT NULL);
INSERT INTO "turns" VALUES('acme/models',4);
CREATE INDEX runs_by_time ON runs (started_at, id);
CREATE INDEX runs_by_spec ON runs (spec, started_at, id);
CREATE INDEX runs_by_state ON runs (state, started_at, id);
CREATE INDEX results_by_step ON results (spec, step, made_at);
CREATE INDEX releases_by_model ON releases (model, sequence);
CREATE UNIQUE INDEX deliveries_by_id ON deliveries (known_as);
CREATE INDEX deliveries_by_body ON deliveries (says);
CREATE INDEX deliveries_to_do ON deliveries (sequence) WHERE state = 'received';
CREATE INDEX deliveries_by_time ON deliveries (taken_at);
CREATE UNIQUE INDEX changes_by_key ON changes (known_as);
CREATE INDEX changes_by_line ON changes (line, made_at, id);
CREATE INDEX changes_by_commit ON changes (repo, commit_id, made_at, id);
CREATE INDEX changes_by_time ON changes (made_at, id);
CREATE INDEX changes_by_repo ON changes (repo, made_at, id);
CREATE INDEX changes_new ON changes (made_at, id) WHERE state = 'new';
CREATE INDEX queue_by_time ON queue (queued_at, id);
CREATE INDEX queue_by_repo ON queue (repo, queued_at, id);
CREATE INDEX queue_by_spec ON queue (spec, queued_at, id);
CREATE INDEX queue_by_both ON queue (repo, spec, queued_at, id);
CREATE INDEX queue_by_change ON queue (change);
CREATE INDEX queue_by_pull ON queue (repo, pull, queued_at, id) WHERE pull <> 0;
CREATE INDEX queue_open ON queue (state, queued_at, id) WHERE state <> 'done';
CREATE INDEX queue_open_by_repo ON queue (repo, state) WHERE state <> 'done';
CREATE INDEX queue_open_by_lane ON queue (lane) WHERE state <> 'done' AND lane <> '';
CREATE UNIQUE INDEX queue_held_lanes ON queue (lane) WHERE holds = 1 AND lane <> '';
CREATE INDEX queue_claims ON queue (repo, priority DESC, queued_at, id, lane) WHERE state = 'waiting';
CREATE INDEX heads_by_repo ON heads (repo, purpose);
CREATE INDEX tracks_by_line ON tracks (line);
CREATE UNIQUE INDEX outbox_heads ON outbox (address) WHERE state = 'waiting';
CREATE INDEX outbox_waiting ON outbox (id) WHERE state = 'waiting';
CREATE INDEX outbox_dead ON outbox (id) WHERE state = 'dead';
CREATE INDEX outbox_dead_heads ON outbox (address, id) WHERE state = 'dead';
CREATE INDEX outbox_by_time ON outbox (written_at);
CREATE INDEX channels_by_time ON channels (sent_at);
CREATE INDEX alias_moves_by_model ON alias_moves (model, alias, sequence);
CREATE INDEX model_marks_by_model ON model_marks (model, digest, sequence);
CREATE INDEX deployments_by_place ON deployments (place, sequence);
