//! Opening the manager: programs found, user chosen, directories made, survivors of an earlier run taken over, and
//! the periodic work started.

use crate::error::{Error, blocking};
use crate::find;
use crate::layout::Layout;
use crate::manager::{Instances, Shared};
use crate::pidfile;
use crate::settings::Settings;
use crate::tree;
use crate::user::ServerUser;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Servers that are taken over or stopped at the same time.
const RECOVER_AT_ONCE: usize = 8;
/// Between two rounds of putting to sleep and cutting logs.
const ROUND_MAX: Duration = Duration::from_secs(20);
const ROUND_MIN: Duration = Duration::from_millis(100);

impl Instances {
    /// Opens the managed servers of a data directory. The caller sees to it that only one process does so.
    ///
    /// # Errors
    /// When PostgreSQL or a user to run it as is missing, or the directory cannot be used.
    pub async fn open(settings: Settings) -> Result<Instances, Error> {
        let installations = find::find(&settings).await?;
        let user = ServerUser::choose(settings.run_as.as_deref()).await?;
        let (for_layout, owner) = (settings.clone(), user.clone());
        let layout = blocking(move || Layout::prepare(&for_layout, &owner)).await?;
        let instances = Instances::assemble(settings, installations, user, layout);
        instances.recover().await?;
        instances.begin_rounds();
        Ok(instances)
    }

    /// Takes over or stops the servers that an earlier run left behind.
    async fn recover(&self) -> Result<(), Error> {
        let layout = self.shared.layout.clone();
        let left = blocking(move || {
            let names = layout.names().map_err(Error::io("list of instances"))?;
            Ok(names.into_iter().filter(|n| pidfile::path(&layout.data(n)).exists()).collect::<Vec<_>>())
        })
        .await?;
        let mut running = JoinSet::new();
        for name in left {
            if running.len() >= RECOVER_AT_ONCE {
                let _ = running.join_next().await;
            }
            let instances = self.clone();
            running.spawn(async move {
                if let Err(error) = instances.adopt(&name).await {
                    // The others are not to suffer; the next use of this one reports it.
                    tracing::error!(instance = %name, %error, "cannot recover an instance");
                }
            });
        }
        while running.join_next().await.is_some() {}
        Ok(())
    }

    /// Every so often: idle servers go to sleep, long logs are cut. Ends with the manager.
    fn begin_rounds(&self) {
        let shared: Weak<Shared> = Arc::downgrade(&self.shared);
        let idle = self.shared.settings.idle_sleep;
        let round = idle.map_or(ROUND_MAX, |idle| (idle / 4).clamp(ROUND_MIN, ROUND_MAX));
        let closing = self.shared.closing.clone();
        self.shared.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = closing.cancelled() => return,
                    () = sleep(round) => {}
                }
                let Some(shared) = shared.upgrade() else { return };
                let instances = Instances { shared };
                if let Some(idle) = idle {
                    instances.sleep_idle(idle).await;
                }
                instances.cut_logs().await;
            }
        });
    }

    async fn cut_logs(&self) {
        let bytes_max = self.shared.settings.log_bytes_max;
        let logs: Vec<_> = self.running().iter().map(|name| self.shared.layout.log(name)).collect();
        let cut = blocking(move || {
            for log in logs {
                tree::cut_log(&log, bytes_max).map_err(Error::io(log.display().to_string()))?;
            }
            Ok(())
        });
        if let Err(error) = cut.await {
            tracing::warn!(%error, "cannot cut a log");
        }
    }
}
