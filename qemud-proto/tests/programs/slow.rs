//! A daemon inside the test, on a real socket, whose driver takes its time: a test says how far it is, and when it is
//! done.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use qemud_proto::daemon::{Daemon, GuestServer};
use qemud_proto::driver::{Driver, Picture};
use qemud_proto::failure::{Code, Failure, Reply};
use qemud_proto::identity::Uuid;
use qemud_proto::messages::*;
use rpc_frame::tokio::ServerConfig;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::processes::{guestctl_command, program, unix_uri};

const NAME: &str = "slow";
const UUID: Uuid = Uuid([9; 16]);
/// The id of the domain when the test begins.
const ACTIVE: i32 = 7;
/// The id that a restored domain has.
const RESTORED: i32 = 8;
/// Another domain, which is there where the first one does not answer.
const OTHER: (i32, &str, Uuid) = (9, "other", Uuid([1; 16]));

/// What the driver is told by the test, and tells it.
pub(crate) struct Slow {
    /// Active under id 7.
    pub(crate) active: AtomicBool,
    restoring: AtomicBool,
    pub(crate) job: Mutex<JobInfo>,
    /// Lets a save, a restore or a screenshot end.
    pub(crate) done: Notify,
    /// Looks at the domain that still find it as it was, before it changes as it was asked to.
    pub(crate) looks: AtomicUsize,
    /// Whether the domain does not answer.
    pub(crate) silent: AtomicBool,
    /// Whether it was asked to start or shut down.
    asked: AtomicBool,
}

impl Slow {
    fn new() -> Self {
        Self {
            active: AtomicBool::new(true),
            restoring: AtomicBool::new(false),
            job: Mutex::new(job(JobKind::None, 0, 0)),
            done: Notify::new(),
            looks: AtomicUsize::new(usize::MAX),
            silent: AtomicBool::new(false),
            asked: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_at(&self, kind: JobKind, total: u64, remaining: u64) {
        *self.job.lock().unwrap() = job(kind, total, remaining);
    }

    /// Whether what was asked for has not happened yet; each look brings it nearer.
    fn is_late(&self) -> bool {
        self.asked.load(SeqCst) && self.looks.fetch_update(SeqCst, SeqCst, |looks| looks.checked_sub(1)).is_ok()
    }

    fn id(&self) -> i32 {
        match (self.restoring.load(SeqCst), self.active.load(SeqCst)) {
            (true, _) => RESTORED,
            (false, true) => ACTIVE,
            (false, false) => -1,
        }
    }
}

fn job(kind: JobKind, data_total: u64, data_remaining: u64) -> JobInfo {
    JobInfo { kind, elapsed: 1, data_total, data_processed: 1, data_remaining }
}

fn missing() -> Failure {
    Failure::new(Code::NoDomain, "no such domain")
}

struct SlowDriver(Arc<Slow>);

#[async_trait]
impl Driver for SlowDriver {
    fn name(&self) -> &'static str {
        "test"
    }

    async fn list_domains(&self, _: ListDomains) -> Reply<DomainIds> {
        let restored = self.0.restoring.load(SeqCst).then_some(RESTORED);
        let other = self.0.silent.load(SeqCst).then_some(OTHER.0);
        let active = self.0.active.load(SeqCst).then_some(ACTIVE);
        Ok(DomainIds { ids: [active, restored, other].into_iter().flatten().collect() })
    }

    async fn num_defined_domains(&self, _: NumDefinedDomains) -> Reply<u32> {
        Ok(0)
    }

    async fn domain_lookup_by_id(&self, args: DomainLookupById) -> Reply<Identity> {
        if args.id == OTHER.0 {
            return Ok(Identity { uuid: OTHER.2, name: OTHER.1.to_owned() });
        }
        let gone = self.0.asked.load(SeqCst) && !self.0.is_late();
        if gone || args.id != self.0.id() {
            return Err(missing());
        }
        Ok(Identity { uuid: UUID, name: NAME.to_owned() })
    }

    async fn domain_lookup_by_name(&self, args: DomainLookupByName) -> Reply<DomainOfName> {
        if args.name == NAME { Ok(DomainOfName { id: self.0.id(), uuid: UUID }) } else { Err(missing()) }
    }

    async fn domain_get_info(&self, args: DomainGetInfo) -> Reply<DomainInfo> {
        if args.uuid == UUID && self.0.silent.load(SeqCst) {
            return Err(Failure::new(Code::OperationFailed, "domain 'slow' does not answer"));
        }
        let runstate = if self.0.is_late() { RunState::Paused } else { RunState::Running };
        Ok(DomainInfo { cpu_time: 0, runstate, memory: 1024, maxmem: 1024, nr_virt_cpu: 1 })
    }

    async fn domain_start(&self, _: DomainStart) -> Reply<i32> {
        self.0.asked.store(true, SeqCst);
        Ok(ACTIVE)
    }

    async fn domain_shutdown(&self, _: DomainShutdown) -> Reply<()> {
        self.0.asked.store(true, SeqCst);
        Ok(())
    }

    async fn domain_save(&self, _: DomainSave) -> Reply<()> {
        self.0.done.notified().await;
        Ok(())
    }

    async fn domain_restore(&self, _: DomainRestore) -> Reply<i32> {
        self.0.restoring.store(true, SeqCst);
        self.0.done.notified().await;
        Ok(RESTORED)
    }

    async fn domain_screenshot(&self, _: DomainScreenshot) -> Reply<Picture> {
        self.0.done.notified().await;
        Ok(Picture { mime: "image/png".to_owned(), bytes: vec![1; 5 * PIECE_MAX] })
    }

    async fn domain_get_job_info(&self, _: DomainGetJobInfo) -> Reply<JobInfo> {
        Ok(*self.0.job.lock().unwrap())
    }
}

/// The daemon, as long as its test lasts.
pub(crate) struct SlowDaemon {
    pub(crate) slow: Arc<Slow>,
    pub(crate) folder: TempDir,
    server: GuestServer,
    runtime: Runtime,
}

impl SlowDaemon {
    /// A daemon without these procedures.
    pub(crate) fn start(switched_off: &[&str]) -> Self {
        let slow = Arc::new(Slow::new());
        let daemon = Daemon::new(Arc::new(SlowDriver(Arc::clone(&slow))));
        let daemon = switched_off.iter().fold(daemon, |daemon, name| daemon.switch_off(name).unwrap());
        let server = daemon.into_server(ServerConfig::default());
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(folder.path().join("sock")).unwrap()
        };
        let serving = server.clone();
        runtime.spawn(async move { serving.serve(listener).await });
        Self { slow, folder, server, runtime }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("sock")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Command {
        guestctl_command(&[&["--connect", &unix_uri(&self.socket())], arguments].concat())
    }

    /// The same, written to a pipe although the rest is on a terminal.
    pub(crate) fn piped(&self, arguments: &str) -> std::process::Command {
        let guestctl = env!("CARGO_BIN_EXE_guestctl");
        let uri = unix_uri(&self.socket());
        program("sh", &["-c", &format!("{guestctl} --connect '{uri}' {arguments} 2>&1 | cat")])
    }

    /// Ends the daemon, in the middle of whatever it does.
    pub(crate) fn stop(&self) {
        self.runtime.block_on(self.server.shutdown(Duration::ZERO));
    }
}
