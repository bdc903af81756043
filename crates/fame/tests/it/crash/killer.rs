//! Kills the service and starts it again.

use super::{
    verdict,
    world::{Moment, World},
};
use crate::services::{
    Books, Database, Dice, Person, PostgresCluster, Process, Site, eventually, fill, pause, within,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::broadcast::error::RecvError;

/// Kills between two checks of everything.
const BETWEEN_CHECKS: usize = 10;
/// How long to wait for the moment to kill at.
const LONGEST_WAIT: Duration = Duration::from_millis(700);
/// Longer than work in an environment takes.
const LONGEST_WORK: Duration = Duration::from_secs(3);

/// Has the processes in its hand.
pub(super) struct Killer {
    world: Arc<World>,
    site: Site,
    books: Books,
    dice: Dice,
    /// `None` only while one is being replaced.
    processes: Vec<Option<Process>>,
    /// The database's server, if it is the test's own.
    cluster: Option<PostgresCluster>,
}

impl Killer {
    /// Starts the service and fills it with apps and environments.
    pub(super) async fn start(world: &Arc<World>, site: Site, replicas: usize) -> Self {
        let mut killer = Self {
            world: world.clone(),
            books: Books::of(&site),
            site,
            dice: Dice::for_player(world.seed, 99),
            processes: (0..replicas).map(|_| None).collect(),
            cluster: None,
        };
        for replica in 0..replicas {
            killer.start_replica(replica).await;
        }
        killer.fill().await;
        killer
    }

    async fn fill(&self) {
        let operator = self.world.caller_of(0, &Person::OPERATOR);
        let owner = self.world.caller_of(0, &Person::OWNER);
        fill(&operator, &owner).await;
        for environment in &self.world.environments {
            let report = environment.report("1.0.0.0", "report 0");
            operator
                .put(&environment.path(), &report)
                .await
                .unwrap()
                .expect(201);
            let line = self.world.noted("report 0");
            let mut ledger = self.world.ledger();
            ledger.is_now(&environment.path(), Some("report 0".into()), line);
        }
    }

    async fn start_replica(&mut self, replica: usize) {
        let process = self.site.start(replica).await;
        self.world.replica_is_at(replica, process.base_url());
        self.processes[replica] = Some(process);
    }

    async fn kill_replica(&mut self, replica: usize) {
        let process = self.processes[replica].take().unwrap();
        self.check_log(&process);
        process.kill().await;
        self.world.count_kill();
    }

    /// A living service with a living database has no reason to log an error; none has a reason to panic.
    fn check_log(&self, process: &Process) {
        let is_serious = |line: &str| !self.world.may_be_unavailable() || line.contains("panicked at");
        for line in process.errors().into_iter().filter(|line| is_serious(&line.0)) {
            self.world.finds(line.0);
        }
    }

    /// Holds on to the server of the database until the last check is done.
    pub(super) fn keeps(&mut self, cluster: PostgresCluster) {
        self.cluster = Some(cluster);
    }

    /// Crashes the database that often and starts it again, or only cuts all connections to it. The service is left
    /// alone all the time.
    pub(super) async fn restart_database_often(&mut self, cluster: &mut PostgresCluster, restarts: usize) {
        let pids: Vec<_> = self.processes.iter().flatten().map(Process::pid).collect();
        for _ in 0..restarts {
            self.wait_for_a_good_moment().await;
            self.world.count_kill();
            if self.dice.chance(25) {
                cluster.cut_connections().await;
            } else {
                cluster.stop();
                pause(&mut self.dice, Duration::from_millis(700)).await;
                cluster.start_again();
            }
            self.check_recovery().await;
            if self.world.has_findings() {
                return;
            }
        }
        let now: Vec<_> = self.processes.iter().flatten().map(Process::pid).collect();
        assert_eq!(now, pids, "the service itself was never restarted");
    }

    /// Everything works again without help.
    async fn check_recovery(&mut self) {
        for process in self.processes.iter().flatten() {
            process.until_readiness_is(200).await;
        }
        self.wait_for_work_to_end().await;
        self.check().await;
    }

    /// Kills that often, with a check of everything now and then, until something is found wrong.
    pub(super) async fn kill_often(&mut self, kills: usize) {
        for round in 1..=kills {
            let replica = self.dice.below(self.processes.len());
            self.wait_for_a_good_moment().await;
            self.kill_replica(replica).await;
            if self.processes.len() > 1 && self.dice.chance(30) {
                // The others go on alone for a while.
                pause(&mut self.dice, Duration::from_millis(400)).await;
            }
            self.start_replica(replica).await;
            if round % BETWEEN_CHECKS == 0 {
                self.check().await;
            }
            if self.world.has_findings() {
                return;
            }
        }
    }

    async fn wait_for_a_good_moment(&mut self) {
        match self.dice.below(100) {
            0..10 => {
                self.wait_for_work_to_end().await;
                pause(&mut self.dice, Duration::from_millis(1_500)).await;
            }
            10..30 => pause(&mut self.dice, Duration::from_millis(500)).await,
            _ => {
                pause(&mut self.dice, Duration::from_millis(200)).await;
                let wanted = Moment::ALL[self.dice.below(Moment::ALL.len())];
                self.wait_for(wanted).await;
                pause(&mut self.dice, Duration::from_millis(12)).await;
            }
        }
    }

    async fn wait_for_work_to_end(&self) {
        let ended = async || {
            let done = "SELECT id FROM operations WHERE status IN ('Succeeded', 'Failed')";
            self.books.rows(done).await.len()
        };
        let before = ended().await;
        // Nobody may have asked for any.
        let _: Option<()> = within(LONGEST_WORK, async || (ended().await > before).then_some(())).await;
    }

    async fn wait_for(&self, wanted: Moment) {
        let mut moments = self.world.moments();
        let waiting = async {
            loop {
                match moments.recv().await {
                    Ok(moment) if moment == wanted => return,
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        };
        // A moment that does not come is as good as any other.
        drop(tokio::time::timeout(LONGEST_WAIT, waiting).await);
    }

    /// Holds everything against what is known, while nobody changes anything.
    async fn check(&mut self) {
        let world = self.world.clone();
        let _silence = world.silence().await;
        if self.books.database() == Database::Sqlite {
            // It starts alone, so it settles everything, and the sweeper's first pass need not wait for the grace.
            self.kill_replica(0).await;
            self.start_replica(0).await;
            verdict::rubbish_goes(&world, &self.books).await;
        }
        verdict::books_agree(&world, &self.books).await;
        verdict::samples_are_there(&world, &mut self.dice).await;
    }

    /// Waits for what takes time, and looks at everything.
    pub(super) async fn last_check(&mut self) {
        let world = self.world.clone();
        if world.has_findings() {
            return;
        }
        let books = &self.books;
        eventually("all that ran has ended", async || {
            let running = books
                .rows("SELECT id FROM operations WHERE status = 'Running'")
                .await;
            running.is_empty().then_some(())
        })
        .await;
        if books.database() == Database::Sqlite {
            self.kill_replica(0).await;
            self.start_replica(0).await;
        }
        verdict::rubbish_goes(&world, &self.books).await;
        verdict::books_agree(&world, &self.books).await;
        verdict::everything_is_there(&world).await;
        for process in self.processes.iter().flatten() {
            self.check_log(process);
        }
    }
}
