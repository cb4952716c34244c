//! `footnote serve`: the built web app on this machine.

use std::process::ExitCode;

use crate::args::{ServeArgs, Shared};
use crate::error::{AtPath, Error, Result};
use crate::setup;

pub fn run(shared: &Shared, args: &ServeArgs) -> Result<ExitCode> {
    if !args.web.join("index.html").is_file() {
        return Err(Error::Usage(format!(
            "there is no web app in {}; build it with `cargo xtask web`, or name its folder with --web",
            args.web.display()
        )));
    }
    let options = serve::Options {
        port: args.port,
        web_dir: args.web.clone(),
        models_dir: setup::store(shared)?.folder().into(),
        isolated: !args.not_isolated,
    };
    let server = serve::spawn(&options).at(format!("127.0.0.1:{}", args.port).as_ref())?;
    eprintln!("Footnote is at http://127.0.0.1:{} (stop with Ctrl+C)", server.port());
    server.wait();
    Ok(ExitCode::SUCCESS)
}
