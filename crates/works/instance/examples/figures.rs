//! Prints how long the stages of a managed server's life take on this machine, for docs/BENCHMARKS.md:
//! `cargo run --release -p instance --example figures -- DIR`. DIR must not exist; it is removed again.

use instance::{Error, InstanceName, Instances, SUPERUSER, Script, Settings, TemplateSpec, Tuning};
use std::time::Instant;

const ROUNDS: usize = 10;

fn main() -> Result<(), Error> {
    let Some(dir) = std::env::args_os().nth(1) else {
        println!("which directory?");
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(measure(dir.into())),
        Err(error) => {
            println!("{error}");
            Ok(())
        }
    }
}

async fn measure(dir: std::path::PathBuf) -> Result<(), Error> {
    let settings = Settings { search_path: std::env::var_os("PATH"), ..Settings::new(&dir) };
    let mut last = Instant::now();
    let mut lap = |what: &str| {
        println!("{what:<28} {:>7.1} ms", last.elapsed().as_secs_f64() * 1e3);
        last = Instant::now();
    };
    let instances = Instances::open(settings).await?;
    lap("open");
    let spec = TemplateSpec::new("project", vec![Script::new("postgres", "create table t ()")]);
    let template = instances.prepare(&spec).await?;
    lap("initdb and bootstrap");
    for round in 0..ROUNDS {
        let name: InstanceName = format!("i{round}").parse().map_err(|_| Error::Interrupted)?;
        instances.create(&name, &template, &Tuning::default()).await?;
        lap("create");
        answer(&instances, &name).await?;
        lap("first start to answer");
        instances.stop(&name).await?;
        lap("stop");
        answer(&instances, &name).await?;
        lap("asleep to answer");
        answer(&instances, &name).await?;
        lap("awake to answer");
        instances.stop(&name).await?;
        lap("stop");
    }
    instances.shutdown().await?;
    if let Err(error) = tokio::fs::remove_dir_all(&dir).await {
        println!("{error}");
    }
    Ok(())
}

async fn answer(instances: &Instances, name: &InstanceName) -> Result<(), Error> {
    let endpoint = instances.ensure_running(name).await?;
    let config = endpoint.config(SUPERUSER, "postgres");
    let failed =
        |source| Error::Bootstrap { database: "postgres".to_owned(), source: std::sync::Arc::new(source) };
    let mut connection = pg::Connection::connect(&config).await.map_err(failed)?;
    connection.query("select 1", &[]).await.map_err(failed)?;
    Ok(())
}
