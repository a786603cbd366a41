//! The flags of the time-series database; a part of the table in `flags`.

use super::flag::{Flag, value};

pub(super) const API: Flag = value(
    "--influxdb-api",
    "INFLUXDB_API",
    "API",
    "",
    "v1: InfluxDB 1.x, VictoriaMetrics; v2: InfluxDB 2.x and 3.x\n\
     (default: v2 if a token, --influxdb-org or --influxdb-bucket is given)",
);

pub(super) const TOKEN: Flag = value(
    "--influxdb-token",
    "INFLUXDB_TOKEN",
    "TOKEN",
    "",
    "token for v2; visible to other users of the machine,\nso prefer a file",
);

pub(super) const TOKEN_FILE: Flag = value(
    "--influxdb-token-file",
    "INFLUXDB_TOKEN_FILE",
    "FILE",
    "",
    "file with the token; under systemd the default is the credential\n\
     'influxdb-token'",
);

pub(super) const ORG: Flag = value(
    "--influxdb-org",
    "INFLUXDB_ORG",
    "NAME",
    "",
    "organization for v2; InfluxDB 3.x needs none",
);

pub(super) const BUCKET: Flag = value(
    "--influxdb-bucket",
    "INFLUXDB_BUCKET",
    "NAME",
    "",
    "bucket for v2 (default: NAME_upgrade_responder)",
);

pub(super) const SEND: Flag = value(
    "--influxdb-send",
    "INFLUXDB_SEND",
    "WHAT",
    "all",
    "all: send records and totals; totals: send only totals, records\n\
     stay on this machine",
);

pub(super) const CA_FILE: Flag = value(
    "--influxdb-ca-file",
    "INFLUXDB_CA_FILE",
    "FILE",
    "",
    "PEM file with the authorities to trust for an https URL,\ninstead of the built-in ones",
);
