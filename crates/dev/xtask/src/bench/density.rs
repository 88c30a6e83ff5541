//! Many pooled projects on one platform: what a project costs to make and to keep, and how fast a random one
//! answers when it is first asked, and later.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use super::cpu;
use super::http::Http;
use super::stack::binary;
use crate::args::Args;
use crate::process::{Background, Scratch, free_port, output};

/// How many random projects are asked.
const SAMPLE: usize = 500;

struct Project {
    reference: String,
    key: String,
}

pub fn command(args: &Args) -> Result<()> {
    let count = args.number("projects", 2000)? as usize;
    let scratch = Scratch::new("density")?;
    let data = scratch.path().join("data");
    let (port, db_port) = (free_port()?, free_port()?);
    let mut serve = Command::new(binary()?);
    serve.arg("serve").arg("--data").arg(&data);
    serve.args(["--api-port", &port.to_string(), "--db-port", &db_port.to_string()]);
    let mut program = Background::start(&mut serve, &scratch.path().join("serve.log"))?;
    program.wait_until("rowhouse serve answers", || {
        let answer = Http::connect(port).and_then(|mut http| http.send("GET", "/health", &[], ""));
        answer.is_ok_and(|answer| answer.status == 200)
    })?;
    let model = scratch.path().join("entities.json");
    std::fs::write(&model, include_str!("../../fixtures/density.json"))?;

    let empty = cpu::resident_mb(program.pid());
    let (mut projects, mut times) = (Vec::new(), Vec::new());
    for n in 0..count {
        let begun = Instant::now();
        projects.push(create(&data, &model, n)?);
        times.push(begun.elapsed());
        if (n + 1) % 250 == 0 {
            let recent = &times[times.len() - 250..];
            println!("{} projects: {} ms each lately", n + 1, ms(recent.iter().sum::<Duration>() / 250));
        }
    }
    println!("\ncreation with 3 tables (two commands): {}", spread(&mut times));
    println!(
        "memory of the program: {empty:.0} MB empty, {:.0} MB after creation",
        cpu::resident_mb(program.pid())
    );
    ask(port, &projects, &program)
}

fn create(data: &Path, model: &Path, n: usize) -> Result<Project> {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(binary()?);
        command.args(arguments).arg("--data").arg(data);
        output(&mut command)
    };
    let name = format!("density {n}");
    let text = run(&["projects", "create", &name, "--tenancy", "pooled", "-o", "json"])?;
    let project: Value = serde_json::from_str(&text).context("the answer to projects create")?;
    let reference = project["ref"].as_str().context("no ref in the answer")?.to_owned();
    run(&["entities", "apply", &model.display().to_string(), "--project", &reference])?;
    let keys: Value = serde_json::from_str(&run(&["projects", "keys", &reference, "-o", "json"])?)?;
    let key = keys["anon_key"].as_str().context("no anon_key in the answer")?.to_owned();
    Ok(Project { reference, key })
}

/// A read of one table of random projects: the first makes the project's services and learns its schema.
fn ask(port: u16, projects: &[Project], program: &Background) -> Result<()> {
    let mut http = Http::connect(port)?;
    let mut times: [Vec<Duration>; 2] = [Vec::new(), Vec::new()];
    let mut order = Shuffle(0x2545_f491_4f6c_dd1d);
    let mut left: Vec<&Project> = projects.iter().collect();
    let size = SAMPLE.min(left.len());
    let sample: Vec<&Project> = (0..size).map(|_| left.swap_remove(order.below(left.len()))).collect();
    for round in &mut times {
        for project in &sample {
            let path = format!("/p/{}/rest/v1/posts?select=*&limit=20", project.reference);
            let begun = Instant::now();
            http.send("GET", &path, &[("apikey", &project.key)], "")?.expect(200)?;
            round.push(begun.elapsed());
        }
    }
    let [first, later] = &mut times;
    println!("first request of a random project: {}", spread(first));
    println!("later requests of random projects: {}", spread(later));
    println!("memory of the program after {size} random projects: {:.0} MB", cpu::resident_mb(program.pid()));
    Ok(())
}

fn spread(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: f64| ms(times[((times.len() - 1) as f64 * share) as usize]);
    format!("median {} ms, p95 {} ms, p99 {} ms, worst {} ms", at(0.5), at(0.95), at(0.99), at(1.0))
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

/// The same sequence every time (xorshift), so that runs can be compared.
struct Shuffle(u64);

impl Shuffle {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
