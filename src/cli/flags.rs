//! The table of flags: name, environment variable, default and help text. The parser, the help page and the
//! tests all use this table.

use super::command::{For, Name};
use super::flag::{Flag, of, switch, value};
use super::{explain_flags, influxdb_flags, report_flags};

/// Every flag, in the order of the help page.
pub static FLAGS: &[Flag] = &[
    value(
        "--upgrade-response-config",
        "UPGRADE_RESPONSE_CONFIG",
        "FILE",
        "",
        "JSON file with the versions to answer with; required",
    ),
    value(
        "--application-name",
        "APPLICATION_NAME",
        "NAME",
        "",
        "application; its InfluxDB database is NAME_upgrade_responder; required,\n\
         except by report if the state directory has only one application",
    ),
    value(
        "--request-schema",
        "REQUEST_SCHEMA",
        "FILE",
        "",
        "JSON file that lists the extra tags and fields to store;\n\
         without it all are stored, within hard caps",
    ),
    value(
        "--geodb",
        "GEODB",
        "FILE",
        "",
        "MaxMind DB file with cities or countries;\nwithout it no locations are stored",
    ),
    value(
        "--query-period",
        "QUERY_PERIOD",
        "DURATION",
        "1h",
        "how often each installation checks in: 90m, 1h30m, 1.5h; at least 1m",
    ),
    value(
        "--down-sample-tags",
        "DOWN_SAMPLE_TAGS",
        "TAG,...",
        "",
        "extra tags, in snake case, that get totals per period of their own",
    ),
    value(
        "--reload-interval",
        "RELOAD_INTERVAL",
        "DURATION",
        "5s",
        "how often the three files are checked for changes;\n0: only on SIGHUP",
    ),
    value(
        "--listen",
        "LISTEN",
        "ADDR:PORT",
        "",
        "address to listen on, or unix:/path (default: 0.0.0.0 and --port)",
    ),
    value(
        "--port",
        "PORT",
        "PORT",
        "8314",
        "port to listen on, on all IPv4 addresses",
    ),
    value(
        "--trusted-proxies",
        "TRUSTED_PROXIES",
        "CIDR,...",
        "",
        "networks of proxies whose X-Forwarded-For is trusted\n(default: loopback, private and link-local networks)",
    ),
    value(
        "--max-connections",
        "MAX_CONNECTIONS",
        "N",
        "1024",
        "connections served at once; more wait in the kernel's queue",
    ),
    value(
        "--client-timeout",
        "CLIENT_TIMEOUT",
        "DURATION",
        "75s",
        "a client that is silent for this long, reading or writing, is cut off",
    ),
    value(
        "--influxdb-url",
        "INFLUXDB_URL",
        "URL",
        "",
        "InfluxDB or VictoriaMetrics, with the path before /write if there is\n\
         one; without this flag records stay in the spool",
    ),
    value(
        "--influxdb-user",
        "INFLUXDB_USER",
        "NAME",
        "",
        "InfluxDB user",
    ),
    value(
        "--influxdb-pass",
        "INFLUXDB_PASS",
        "PASSWORD",
        "",
        "InfluxDB password; visible to other users of the machine,\nso prefer a file",
    ),
    value(
        "--influxdb-pass-file",
        "INFLUXDB_PASS_FILE",
        "FILE",
        "",
        "file with the InfluxDB password; under systemd the default is the\n\
         credential 'influxdb-pass'",
    ),
    influxdb_flags::API,
    influxdb_flags::TOKEN,
    influxdb_flags::TOKEN_FILE,
    influxdb_flags::ORG,
    influxdb_flags::BUCKET,
    influxdb_flags::CA_FILE,
    influxdb_flags::SEND,
    switch(
        "--influxdb-insecure-tls",
        "INFLUXDB_INSECURE_TLS",
        "do not verify InfluxDB's certificate",
    ),
    value(
        "--cache-sync-interval",
        "CACHE_SYNC_INTERVAL",
        "SECONDS",
        "1",
        "how often records are sent to InfluxDB",
    ),
    value(
        "--cache-size",
        "CACHE_SIZE",
        "POINTS",
        "5000",
        "limit on the points in one request to InfluxDB; the original's 100\n\
         costs InfluxDB a request for every 100 points",
    ),
    value(
        "--state-dir",
        "STATE_DIR",
        "DIR",
        "",
        "totals and spool, in a directory for each application (default:\n\
         $STATE_DIRECTORY, else ./upgrade-responder-data)",
    ),
    value(
        "--keep-periods",
        "KEEP_PERIODS",
        "SPAN",
        "92d",
        "how long totals are kept for each period, such as 92d or 2208h;\n\
         totals for each day are never deleted",
    ),
    value(
        "--spool-max-size",
        "SPOOL_MAX_SIZE",
        "SIZE",
        "1GiB",
        "limit on the spool; over it the oldest waiting records are dropped",
    ),
    value(
        "--max-tag-values",
        "MAX_TAG_VALUES",
        "N",
        "1000",
        "limit on new values per tag: N immediately, then N per day; excess\nvalues become 'other'",
    ),
    value(
        "--max-series",
        "MAX_SERIES",
        "N",
        "100000",
        "limit on distinct tag sets, without locations; in excess sets the tag with\nthe most values and new values become 'other', or extra tags are left out",
    ),
    value(
        "--metrics-listen",
        "METRICS_LISTEN",
        "ADDR:PORT",
        "",
        "serve the operator's page (/), reports, /metrics and /healthz at this\n\
         address; off by default",
    ),
    value(
        "--public-page",
        "PUBLIC_PAGE",
        "LIST",
        "",
        "serve a public page with these dimensions at / of the check-in address:\n\
         all, app_version, country, city, tags and fields; off by default",
    ),
    value(
        "--public-at-least",
        "PUBLIC_AT_LEAST",
        "N",
        "5",
        "values with fewer installations are 'other' on the public page",
    ),
    value(
        "--max-metric-values",
        "MAX_METRIC_VALUES",
        "N",
        "100",
        "limit on the values of a label on /metrics/installations; excess values\nbecome 'other'",
    ),
    value(
        "--scarf-endpoint",
        "SCARF_ENDPOINT",
        "URL",
        "",
        "accepted; nothing is sent",
    ),
    value(
        "--scarf-timeout",
        "SCARF_TIMEOUT",
        "SECONDS",
        "",
        "accepted; nothing is sent",
    ),
    report_flags::BY,
    report_flags::LAST,
    report_flags::FROM,
    report_flags::TO,
    report_flags::EVERY,
    report_flags::FORMAT,
    report_flags::LEFT_OUT,
    report_flags::MERGE,
    of(
        For::Only(Name::CheckConfig),
        switch("--online", "", "ask InfluxDB too"),
    ),
    of(
        For::Only(Name::CheckConfig),
        switch(
            "--suggest-schema",
            "",
            "print the request schema with the keys added that were left out",
        ),
    ),
    of(
        For::Only(Name::NewApplication),
        value(
            "--directory",
            "",
            "DIR",
            "/etc/upgrade-responder",
            "where the files are written",
        ),
    ),
    explain_flags::REQUEST,
    explain_flags::FORWARDED_FOR,
    explain_flags::AGAINST,
    of(
        For::Only(Name::TakeOver),
        switch(
            "--dry-run",
            "",
            "print what would be done, and change nothing",
        ),
    ),
    of(
        For::NotStart,
        value(
            "--settings",
            "",
            "FILE",
            "",
            "the service's environment file; flags and variables win over it\n\
             (default: /etc/upgrade-responder/upgrade-responder.env, if it exists)",
        ),
    ),
    switch(
        "--debug",
        "DEBUG",
        "log more; also -d, also before the command",
    ),
];

/// Looks a flag up by its name with dashes.
pub fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}
