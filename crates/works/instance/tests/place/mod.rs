//! A data directory for one test, with templates that all tests share; removed with all its servers at the end.

use instance::{Instances, Script, Settings, TemplateSpec};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub struct Place {
    root: PathBuf,
    data: PathBuf,
}

pub fn spec() -> TemplateSpec {
    TemplateSpec::new("test", vec![Script::new("postgres", "create table seen (n bigint)")])
}

impl Place {
    pub fn empty() -> Place {
        Place::at("data")
    }

    /// With the template of [`spec`], shared with all other tests.
    pub fn prepared() -> Place {
        Place::prepared_at("data")
    }

    pub fn prepared_at(folder: &str) -> Place {
        let place = Place::at(folder);
        std::os::unix::fs::symlink(templates(), place.path("template")).unwrap();
        place
    }

    /// With templates of its own, to be changed.
    pub fn with_own_templates() -> Place {
        let place = Place::at("data");
        let copied = Command::new("cp").arg("-a").args([templates(), &place.path("template")]).status();
        assert!(copied.unwrap().success());
        place
    }

    fn at(folder: &str) -> Place {
        let root = scratch().join(format!("rh-{}", uuid::Uuid::new_v4().simple()));
        let data = root.join(folder);
        std::fs::create_dir_all(&data).unwrap();
        Place { root, data }
    }

    pub fn settings(&self) -> Settings {
        Settings { search_path: std::env::var_os("PATH"), ..Settings::new(&self.data) }
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.data.join(relative)
    }

    pub fn entries(&self, relative: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(relative)).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    pub fn log(&self, instance: &str) -> String {
        std::fs::read_to_string(self.path("instances").join(instance).join("server.log")).unwrap()
    }
}

/// In memory where there is room: waiting for a disk is most of the time that servers take.
fn scratch() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let free = rustix::fs::statvfs(&memory).map_or(0, |s| s.f_bavail.saturating_mul(s.f_frsize));
    if free > 2 << 30 { memory } else { std::env::temp_dir() }
}

fn templates() -> &'static PathBuf {
    static TEMPLATES: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATES.get_or_init(|| std::thread::spawn(make_templates).join().unwrap())
}

/// Kept between runs, under a name that is always the same; the lock keeps two runs apart.
fn make_templates() -> PathBuf {
    let data = std::env::temp_dir().join("rowhouse-test-templates");
    std::fs::create_dir_all(&data).unwrap();
    let lock = std::fs::File::create(data.join("lock")).unwrap();
    lock.lock().unwrap();
    let place = Settings { search_path: std::env::var_os("PATH"), ..Settings::new(&data) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let instances = Instances::open(place).await.unwrap();
        instances.prepare(&spec()).await.unwrap();
    });
    data.join("template")
}

impl Drop for Place {
    fn drop(&mut self) {
        for data in postmasters(&self.data) {
            let Ok(text) = std::fs::read_to_string(data.join("postmaster.pid")) else { continue };
            let Some(pid) = text.lines().next().and_then(|l| l.parse().ok()) else { continue };
            let serves = std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data);
            if let (true, Some(pid)) = (serves, rustix::process::Pid::from_raw(pid)) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
            }
        }
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn postmasters(data: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(data.join("instances")).into_iter().flatten();
    entries.filter_map(Result::ok).map(|e| e.path().join("data")).collect()
}
