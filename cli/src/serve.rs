//! `footnote serve`: the built web app on this machine, and its models for other programs.

use std::process::ExitCode;
use std::sync::Arc;

use crate::api::Bridge;
use crate::args::{ServeArgs, Shared};
use crate::error::{AtPath, Error, Result};
use crate::setup;

pub fn run(shared: &Shared, args: &ServeArgs) -> Result<ExitCode> {
    let has_web_app = args.web.join("index.html").is_file();
    if !has_web_app && args.no_api {
        return Err(Error::Usage(format!(
            "there is no web app in {}; build it with `cargo xtask web`, or name its folder with --web",
            args.web.display()
        )));
    }
    let store = setup::store(shared)?;
    let models_dir = store.folder().into();
    let api: Option<Arc<dyn serve::Api>> = match args.no_api {
        true => None,
        false => Some(Arc::new(Bridge::start(shared, store)?)),
    };
    let options = serve::Options {
        isolated: !args.not_isolated,
        mirror: shared.mirror.clone(),
        api,
        api_origins: args.allow_origins.clone(),
        ..serve::Options::new(args.port, args.web.clone(), models_dir)
    };
    let server = serve::spawn(&options).at(format!("127.0.0.1:{}", args.port).as_ref())?;
    let address = format!("http://127.0.0.1:{}", server.port());
    if has_web_app {
        eprintln!("Footnote is at {address} (stop with Ctrl+C)");
    } else {
        eprintln!("there is no web app in {}; `cargo xtask web` builds it", args.web.display());
    }
    if !args.no_api {
        eprintln!("programs for OpenAI's API find the models at {address}/v1");
    }
    server.wait();
    Ok(ExitCode::SUCCESS)
}
