//! Where a driver works in tests: a package, a journal that outlives the driver, and the operation.

use crate::double::{CLIENT_ID, CLIENT_SECRET};
use agent::{
    driver::{Deployed, Driver, Found, Mark, Work, Workplace},
    failure::Failure,
};
use domain::{
    environment::EnvironmentKind,
    ids::{AppId, OperationId},
    operation::OperationKind,
    version::AppVersion,
};
use futures::{FutureExt, future::BoxFuture};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::Notify;
use uuid::Uuid;
use wire::agent::EnvironmentName;

pub(crate) const APP: AppId = AppId(Uuid::from_u128(0xaaaa_aaaa_0000_1111_2222_bbbb_bbbb_bbbb));
pub(crate) const OTHER_APP: AppId = AppId(Uuid::from_u128(0xaaaa_aaaa_0000_1111_2222_bbbb_bbbb_cccc));
pub(crate) const TENANT: Uuid = Uuid::from_u128(0x1111_2222_3333_4444_5555_6666_7777_8888);
pub(crate) const NAME: &str = "Sales Pack";
pub(crate) const PUBLISHER: &str = "Contoso";
pub(crate) const SOURCE: &str = "16.0.1.2";
/// Newer by number, older by text.
pub(crate) const TARGET: &str = "16.0.1.10";
pub(crate) const ENVIRONMENT: &str = "Test 1";

pub(crate) fn version(text: &str) -> AppVersion {
    text.parse().unwrap()
}

/// The bytes of the package, part of which look like a form.
pub(crate) fn package() -> Vec<u8> {
    let mut bytes = b"NAVX\r\n--fame-\r\n\r\n".to_vec();
    let mut seed = 16_u32;
    let random = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed.to_be_bytes()[0]
    });
    bytes.extend(random.take(200_000));
    bytes
}

/// The operation that is carried out.
pub(crate) fn work() -> Work {
    Work {
        operation_id: OperationId(Uuid::from_u128(7)),
        kind: OperationKind::Hotfix,
        aad_tenant_id: TENANT,
        application_family: "BusinessCentral".to_owned(),
        environment_name: ENVIRONMENT.to_owned(),
        environment_kind: EnvironmentKind::Sandbox,
        country_code: "US".parse().unwrap(),
        app_id: APP,
        app_name: Some(NAME.to_owned()),
        app_publisher: Some(PUBLISHER.to_owned()),
        source: Some(version(SOURCE)),
        target: Some(version(TARGET)),
        package_sha256: [0xab; 32],
        package_size: package().len() as u64,
        delete_data: false,
        language_id: None,
    }
}

pub(crate) fn environment() -> EnvironmentName {
    EnvironmentName {
        aad_tenant_id: TENANT,
        application_family: "BusinessCentral".to_owned(),
        name: ENVIRONMENT.to_owned(),
    }
}

/// A journal, a package, and whoever listens.
pub(crate) struct Desk {
    folder: TempDir,
    package: PathBuf,
    marks: Mutex<Vec<Mark>>,
    heard: Mutex<Vec<String>>,
    is_impatient: AtomicBool,
    dies_after: Mutex<Option<usize>>,
    dead: Notify,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("package.app");
        std::fs::write(&package, self::package()).unwrap();
        let desk = Self {
            folder,
            package,
            marks: Mutex::default(),
            heard: Mutex::default(),
            is_impatient: AtomicBool::new(false),
            dies_after: Mutex::default(),
            dead: Notify::new(),
        };
        desk.secret("secret", CLIENT_SECRET);
        desk
    }

    /// A secret in a file, by its reference.
    pub(crate) fn secret(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        format!("file:{}", path.display())
    }

    pub(crate) fn credentials(&self, issuer: &str) -> Value {
        json!({"client": {
            "client_id": CLIENT_ID,
            "client_secret": format!("file:{}", self.folder.path().join("secret").display()),
            "token_url": format!("{issuer}/issuer/token"),
        }})
    }

    /// Waits less long for answers than they may take on a machine with much else to do.
    pub(crate) fn is_impatient(&self) {
        self.is_impatient.store(true, Ordering::Relaxed);
    }

    pub(crate) fn waits_long(&self) -> bool {
        !self.is_impatient.load(Ordering::Relaxed)
    }

    /// How patient drivers are with each request.
    pub(crate) fn http(&self) -> Value {
        let within = if self.waits_long() { "60s" } else { "700ms" };
        json!({
            "connect_within": "60s",
            "read_within": within,
            "change_within": within,
            "tries": 3,
            "first_pause": "1ms",
            "longest_pause": "2ms",
            "longest_asked_pause": "2s",
            "answer_bytes": 16 << 20,
        })
    }

    /// Ends the agent's process when so many marks have been made.
    pub(crate) fn dies_after(&self, marks: usize) {
        *self.dies_after.lock().unwrap() = Some(marks);
    }

    /// All that was said of the operation while it was carried out.
    pub(crate) fn heard(&self) -> String {
        self.heard.lock().unwrap().join("\n")
    }

    pub(crate) fn steps(&self) -> Vec<String> {
        self.marks().into_iter().map(|mark| mark.step).collect()
    }

    /// Reads the inventory and carries the work out, as the runner does; none when the process ended before.
    pub(crate) async fn carries_out(&self, driver: &dyn Driver) -> Option<Deployed> {
        self.carries_out_what(driver, &work()).await
    }

    pub(crate) async fn carries_out_what(&self, driver: &dyn Driver, work: &Work) -> Option<Deployed> {
        let found = driver.inventory().await.unwrap();
        self.goes_on(driver, work, &found).await
    }

    pub(crate) async fn goes_on(&self, driver: &dyn Driver, work: &Work, found: &Found) -> Option<Deployed> {
        tokio::select! {
            ended = driver.deploy(work, found, self) => Some(ended),
            () = self.dead.notified() => None,
        }
    }
}

impl Workplace for Desk {
    fn package(&self) -> BoxFuture<'_, Result<&Path, Failure>> {
        async { Ok(self.package.as_path()) }.boxed()
    }

    fn may_begin(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn mark(&self, step: &str, facts: Value) -> BoxFuture<'_, Result<(), Failure>> {
        let step = step.to_owned();
        let made = {
            let mut marks = self.marks.lock().unwrap();
            marks.push(Mark { step, facts });
            marks.len()
        };
        let dies = *self.dies_after.lock().unwrap() == Some(made);
        async move {
            if dies {
                self.dead.notify_one();
                std::future::pending::<()>().await;
            }
            Ok(())
        }
        .boxed()
    }

    fn rest(&self, span: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(span))
    }

    fn marks(&self) -> Vec<Mark> {
        self.marks.lock().unwrap().clone()
    }

    fn progress(&self, _: Option<u8>, step: &str, text: &str) {
        self.heard.lock().unwrap().push(format!("{step}: {text}"));
    }
}

/// A driver's settings: what all tests have, and what differs in one. What is null there is left out.
pub(crate) fn settings<T: DeserializeOwned>(mut common: Value, differing: &Value) -> T {
    let settings = common.as_object_mut().unwrap();
    for (name, value) in differing.as_object().unwrap() {
        match value {
            Value::Null => settings.remove(name),
            value => settings.insert(name.clone(), value.clone()),
        };
    }
    serde_json::from_value(common).unwrap()
}

pub(crate) fn polls() -> Value {
    json!({"first": "2ms", "first_for": "20ms", "then": "3ms", "then_for": "50ms", "late": "5ms"})
}

pub(crate) fn repeats() -> Value {
    json!({"pause": "1ms", "shortest_lock_pause": "1ms", "longest_lock_pause": "2ms"})
}
