//! reveille: the appliance and its command line, in one program.
//!
//! `serve` and `run` are the daemon ([`daemon`]); every other command is a client of its admin API or works on files.

mod backend;
mod bootlogs;
mod choose;
mod cli;
mod cmd;
mod daemon;
mod failure;
mod inbox;
mod inventory;
mod log;
mod out;
mod pcap;
mod probe;
mod sources;
mod world;

use clap::Parser;
use cli::{Cli, Command, Global, Output};
use failure::{Exit, Failure};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: it confines its process, which must be alone in it.
    if std::env::args_os().nth(1).is_some_and(|word| word == library::media::worker::ARGUMENT) {
        return match library::media::worker::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            if error.use_stderr() && asks_for_json(std::env::args()) {
                let failure = Failure::new("R-CLI-00", "the command line cannot be read")
                    .cause(error.to_string().trim_end())
                    .fix("reveille --help");
                eprintln!("{}", failure.to_json());
                return ExitCode::from(Exit::Usage as u8);
            }
            // `--help` and `--version` arrive here too; clap prints to the right stream itself.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage as u8 } else { 0 });
        }
    };
    let global = cli.global.clone();
    let serves = matches!(cli.command, Command::Serve(_) | Command::Run(_));
    let outcome = runtime(serves).and_then(|runtime| runtime.block_on(dispatch(&global, cli.command)));
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            report(&global, &failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// The daemon uses every core; a client needs one thread.
fn runtime(serves: bool) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = if serves {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder
        .enable_all()
        .build()
        .map_err(|error| Failure::new("R-SYS-01", "cannot start the runtime").cause(error))
}

async fn dispatch(global: &Global, command: Command) -> Result<ExitCode, Failure> {
    if global.output == Output::Otlp && !matches!(command, Command::Trace(_)) {
        return Err(Failure::new("R-CLI-08", "only `trace` has the form `otlp`")
            .fix("use -o json")
            .exit(Exit::Usage));
    }
    match command {
        Command::Serve(asked) => return cmd::serve::command(global, asked).await,
        Command::Run(asked) => return cmd::run::command(global, asked).await,
        Command::Check(asked) => return cmd::config::check(global, &asked),
        Command::Config(asked) => return cmd::config::command(global, asked),
        Command::Template(asked) => return cmd::template::command(global, asked).await,
        Command::Bundle(asked) => return cmd::bundle::command(global, asked).await,
        Command::Apply(asked) => return cmd::gitops::apply(global, asked).await,
        Command::Diff(asked) => return cmd::gitops::diff(global, asked).await,
        Command::Export(asked) => return cmd::gitops::export(global, asked).await,
        Command::Resource(asked) => return cmd::gitops::resource(global, asked).await,
        Command::Passwd(asked) => return cmd::passwd::command(global, &asked),
        Command::Store(asked) => return cmd::store::command(global, asked).await,
        Command::Doctor(asked) => return cmd::doctor::command(global, &asked),
        Command::Explain(asked) => cmd::explain::command(global, *asked).await?,
        Command::Simulate(asked) => cmd::simulate::command(global, &asked).await?,
        Command::Trace(asked) => return cmd::trace::command(global, &asked).await,
        Command::Host(cli::Host::Watch(asked)) => return cmd::watch::command(global, &asked).await,
        Command::Host(asked) => cmd::host::command(global, asked).await?,
        Command::Machine(asked) => cmd::machine::command(global, asked).await?,
        Command::Group(asked) => cmd::policy::group(global, asked).await?,
        Command::Rule(asked) => cmd::policy::rule(global, asked).await?,
        Command::Drift(asked) => return cmd::drift::command(global, asked).await,
        Command::Rollout(asked) => return cmd::rollout::command(global, asked).await,
        Command::Image(asked) => return cmd::image::command(global, asked).await,
        Command::Hook(asked) => cmd::hook::command(global, asked).await?,
        Command::Lease(asked) => cmd::lease::command(global, asked).await?,
        Command::Boot(asked) => cmd::boot::command(global, asked).await?,
        Command::Events(asked) => cmd::events::command(global, asked).await?,
        Command::Status => cmd::status::status(global).await?,
        Command::Version => cmd::status::version(global).await?,
        // `main` has it; here it stands behind options.
        Command::ImportWorker => {
            return Err(Failure::new("R-CLI-01", "`import-worker` is started by the appliance only"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Looks for `-o json` in words that cannot be read as a whole: a program reads our errors too.
fn asks_for_json(words: impl Iterator<Item = String>) -> bool {
    let words: Vec<String> = words.collect();
    let pairs = words.iter().zip(words.iter().skip(1));
    words.iter().any(|word| matches!(word.as_str(), "-ojson" | "-o=json" | "--output=json"))
        || pairs.into_iter().any(|(key, value)| matches!(key.as_str(), "-o" | "--output") && value == "json")
}

fn report(global: &Global, failure: &Failure) {
    if global.output != Output::Table {
        eprintln!("{}", failure.to_json());
    } else {
        eprintln!("{failure}");
    }
}
