//! The help page, from the table of flags.

use super::command::For;
use super::flag::{Flag, Takes};
use super::flags::FLAGS;

/// The help page.
pub fn help() -> String {
    let mut page = String::from(
        "upgrade-responder answers upgrade checks and counts them.\n\n\
         usage: upgrade-responder [--debug] start <flags>\n\
         \x20      upgrade-responder report [--by WHAT] [--last SPAN] [--every SPAN] [--format FORMAT]\n\
         \x20      upgrade-responder check-config [--online | --suggest-schema] <the flags of start>\n\
         \x20      upgrade-responder explain --request FILE [--against FILE] <the flags of start>\n\
         \x20      upgrade-responder take-over [--dry-run] <the flags of start>\n\
         \x20      upgrade-responder export-totals [--format FORMAT]\n\
         \x20      upgrade-responder import-totals <FILE> <the flags of start>\n\
         \x20      upgrade-responder new-application [--directory DIR] <NAME>\n\
         \x20      upgrade-responder help | --help | --version\n\n\
         start             serves until SIGTERM or SIGINT; SIGHUP reloads the files\n\
         report            shows how many installations there are, by version, country or tag\n\
         check-config      shows what start would serve and every problem in the files\n\
         explain           shows the answer that a client would get, and why\n\
         take-over         drops the continuous queries in InfluxDB that another server made for totals\n\
         export-totals     writes all totals to standard output, as CSV or line protocol\n\
         import-totals     imports the CSV of another server, while the server runs or not\n\
         new-application   writes the files of a further application for upgrade-responder@NAME.service\n\n\
         Each flag can also be set by the environment variable in brackets; the flag wins.\n\
         All commands but start read the settings of the packaged service too: see --settings.\n\n",
    );
    for flag in FLAGS {
        page.push_str(&describe(flag));
    }
    page.push_str(
        "\nexit status: 0 success or stopped on request, 1 failed while running, 2 wrong usage, \
         78 wrong configuration\n",
    );
    page
}

fn describe(flag: &Flag) -> String {
    let metavar = match flag.takes {
        Takes::Switch => String::new(),
        Takes::Value(metavar) => format!(" {metavar}"),
    };
    let mut text = match (flag.commands, flag.env) {
        (For::All, env) => format!("  {}{metavar} [{env}]\n", flag.name),
        (commands, _) => format!("  {}{metavar} (of {commands})\n", flag.name),
    };
    for line in flag.help.lines() {
        text.push_str(&format!("        {line}\n"));
    }
    if !flag.default.is_empty() {
        text.push_str(&format!("        default: {}\n", flag.default));
    }
    text
}
