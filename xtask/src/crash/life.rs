//! One data folder from its first start to its last.

use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use strom_base::Random;
use strom_host::file_disk::FileDisk;
use strom_sim::scan::scan_clean;
use strom_storage::disk::DirectoryId;

use super::audit::{self, Loss};
use super::book::{self, Book, Seen};
use super::injection::Injection;
use super::kind::Kind;
use super::load::Load;
use super::outcome::Outcome;
use super::plan::Plan;
use super::victim::{Ground, PATIENCE, Victim};
use super::volume::Volume;
use crate::load::wire::Connection;

pub(super) struct Life<'a> {
    pub plan: &'a Plan,
    pub ground: Ground,
    pub book: Arc<Book>,
    pub load: Load,
    pub random: Random,
    pub outcome: &'a mut Outcome,
    /// Between rounds there is one, and it serves.
    victim: Option<Victim>,
    /// The volume of its own that the data folder is on; behind the node, which has to go first.
    pub volume: Option<Volume>,
    /// When that one was started.
    started: Instant,
}

impl<'a> Life<'a> {
    /// The first start, the topics, and clients at work.
    ///
    /// # Errors
    /// When the node does not serve.
    pub(super) fn begin(
        plan: &'a Plan,
        ground: Ground,
        volume: Option<Volume>,
        outcome: &'a mut Outcome,
    ) -> Result<Self> {
        let mut random = plan.random.clone();
        let started = Instant::now();
        let victim = ground.start_and_wait()?;
        let mut connection = Connection::open(ground.port)?;
        for topic in &plan.topics {
            let configs: Vec<(&str, &str)> =
                topic.configs.iter().map(|(key, value)| (*key, value.as_str())).collect();
            connection.create_topic(topic.name, topic.partitions, &configs)?;
        }
        let book = Arc::new(Book::new());
        let load = Load::start(ground.port, plan, &book, &mut random);
        outcome.lives += 1;
        let victim = Some(victim);
        Ok(Self { plan, ground, book, load, random, outcome, volume, victim, started })
    }

    /// What the plan has, and the end of it.
    ///
    /// # Errors
    /// When something that was promised does not hold.
    pub(super) fn live(mut self) -> Result<()> {
        for (number, kind) in self.plan.rounds.iter().enumerate() {
            self.round(*kind).with_context(|| format!("round {number}, {kind}"))?;
        }
        self.end().context("the end")
    }

    fn round(&mut self, kind: Kind) -> Result<()> {
        self.load.await_acknowledged(self.started)?;
        match kind {
            Kind::Start => self.kill_starts()?,
            Kind::Stop => self.kill_a_stop()?,
            Kind::Call | Kind::FailedSync | Kind::FailedWrite | Kind::NoRoom => {
                self.kill_under_load()?;
                self.inject(kind)?;
            }
            Kind::Load => self.kill_under_load()?,
            Kind::SmallDisk => self.fill_and_kill()?,
            Kind::Power => {
                self.lose_power()?;
                self.kill_under_load()?;
            }
        }
        self.load.operator.forget_cuts(self.plan, &self.book);
        self.revive()?;
        if self.random.one_in(4) {
            self.stop_and_scan()?;
            self.revive()?;
        }
        Ok(())
    }

    pub(super) fn sleep(&mut self, limit_ms: u64) {
        thread::sleep(Duration::from_millis(self.random.below(limit_ms)));
    }

    fn victim(&mut self) -> Result<Victim> {
        self.victim.take().context("no node is up")
    }

    /// The node that is up.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn running(&self) -> Result<&Victim> {
        self.victim.as_ref().context("no node is up")
    }

    /// Whether no node is up, also as it has given up with a sentence.
    ///
    /// # Errors
    /// When it ended in another way.
    pub(super) fn is_down(&mut self) -> Result<bool> {
        let Some(mut victim) = self.victim.take() else { return Ok(true) };
        let Some(status) = victim.ended()? else {
            self.victim = Some(victim);
            return Ok(false);
        };
        victim.check_surrender(status)?;
        self.outcome.refusals += 1;
        // What had no room were checkpoints, too.
        self.load.operator.forget_cuts(self.plan, &self.book);
        Ok(true)
    }

    /// kill -9 of the node that is up.
    ///
    /// # Errors
    /// When it had ended.
    pub(super) fn kill_here(&mut self, kind: Kind) -> Result<()> {
        let victim = self.victim()?;
        self.kill(victim, kind)?;
        self.load.operator.forget_cuts(self.plan, &self.book);
        Ok(())
    }

    fn kill_under_load(&mut self) -> Result<()> {
        self.sleep(400);
        let victim = self.victim()?;
        self.kill(victim, Kind::Load)
    }

    /// kill -9 of a node that has no reason to have ended.
    fn kill(&mut self, victim: Victim, kind: Kind) -> Result<()> {
        let said = victim.said();
        if let Some(status) = victim.kill()? {
            bail!("the node had ended with {status}: {said}");
        }
        self.outcome.count(kind);
        Ok(())
    }

    fn kill_starts(&mut self) -> Result<()> {
        self.kill_under_load()?;
        for _ in 0..=self.random.below(3) {
            let victim = self.ground.start(None)?;
            self.sleep(60);
            self.kill(victim, Kind::Start)?;
        }
        Ok(())
    }

    fn kill_a_stop(&mut self) -> Result<()> {
        self.sleep(300);
        let victim = self.victim()?;
        victim.ask_to_stop()?;
        self.sleep(60);
        let said = victim.said();
        match victim.kill()? {
            None => self.outcome.count(Kind::Stop),
            Some(status) => ensure!(status.success(), "a stop ended with {status}: {said}"),
        }
        Ok(())
    }

    /// A node whose system calls are tampered with, from its start to its end.
    fn inject(&mut self, kind: Kind) -> Result<()> {
        if self.outcome.skipped.contains_key(&kind) {
            return Ok(());
        }
        let injection = Injection::draw(kind, &self.ground.folder, &mut self.random);
        let mut victim = self.ground.start(Some(&injection))?;
        let time = Duration::from_millis(300 + self.random.below(1_500));
        let by_itself = victim.await_end(time)?;
        if let Some(status) = by_itself.filter(|_| kind != Kind::Call) {
            victim.check_surrender(status).with_context(|| injection.expression().to_owned())?;
            self.outcome.surrenders += 1;
        }
        victim.kill()?;
        let ended_at = book::clock();
        let failed = injection.failed()?;
        let has_happened = match kind {
            Kind::Call => by_itself.is_some(),
            _ => !failed.is_empty(),
        };
        ensure!(
            has_happened || by_itself.is_none(),
            "a node ended without a fault, under {}",
            injection.expression()
        );
        self.outcome.count(if has_happened { kind } else { Kind::Load });
        if kind == Kind::FailedSync {
            self.check_failed_syncs(&injection, ended_at)?;
        }
        Ok(())
    }

    /// No later sync is a proof for a log of which one has failed: what was written after it is not
    /// acknowledged where that has to be synced first.
    fn check_failed_syncs(&self, injection: &Injection, ended_at: f64) -> Result<()> {
        for failed in injection.failed()? {
            let folder = failed.path.parent().and_then(|it| it.file_name());
            let folder = folder.unwrap_or_default().to_string_lossy();
            let named = folder.rsplit_once('-');
            let is_log = failed.path.extension().is_some_and(|it| it == "log");
            let strict = self.plan.topics.iter().filter(|topic| topic.is_strict && is_log);
            for topic in strict.filter(|topic| named.is_some_and(|(it, _)| it == topic.name)) {
                let partition = named.and_then(|(_, it)| it.parse().ok()).unwrap_or(-1);
                let page = self.book.page(&(topic.name.to_owned(), partition));
                let late = page
                    .acknowledged
                    .iter()
                    .find(|(_, (given, known))| *given > failed.at && *known < ended_at);
                ensure!(
                    late.is_none(),
                    "{}: {folder} acknowledged {late:?} after a sync of {} had failed at {}",
                    injection.expression(),
                    failed.path.display(),
                    failed.at,
                );
            }
        }
        Ok(())
    }

    /// Starts a node without faults and looks at what it has.
    ///
    /// # Errors
    /// When it does not serve, or something that was promised does not hold.
    pub(super) fn revive(&mut self) -> Result<()> {
        self.started = Instant::now();
        self.victim = Some(self.ground.start_and_wait()?);
        self.look()
    }

    /// Starts a node where there may be no room for it.
    ///
    /// # Errors
    /// When it ends without a sentence.
    pub(super) fn try_revive(&mut self) -> Result<()> {
        let mut victim = self.ground.start(None)?;
        match victim.await_serving()? {
            Some(status) => {
                victim.check_surrender(status)?;
                self.outcome.refusals += 1;
            }
            None => self.victim = Some(victim),
        }
        Ok(())
    }

    /// Reads all that there is.
    ///
    /// # Errors
    /// When something that was promised does not hold.
    pub(super) fn look(&mut self) -> Result<()> {
        let records = audit::audit(self.ground.port, self.plan, &self.book, Loss::Nothing)?;
        self.outcome.records += records;
        self.outcome.audits += 1;
        self.load.operator.check(self.ground.port)
    }

    fn stop_and_scan(&mut self) -> Result<()> {
        self.victim()?.stop()?;
        let disk = FileDisk::new(vec![self.ground.data.clone()]);
        let scanned = scan_clean(&disk, DirectoryId(0));
        ensure!(scanned.is_ok(), "after a clean stop: {}", scanned.err().unwrap_or_default());
        self.outcome.scans += 1;
        Ok(())
    }

    /// All that clients hold comes through, other clients read the same, and so does another process.
    fn end(mut self) -> Result<()> {
        self.load.await_acknowledged(self.started)?;
        self.load.drain()?;
        self.look()?;
        self.read_by_kcat()?;
        self.stop_and_scan()?;
        self.revive()?;
        let victim = self.victim()?;
        self.load.finish()?;
        victim.stop()
    }

    /// Somebody else's eyes: what the audit has read, kcat reads.
    fn read_by_kcat(&self) -> Result<()> {
        let broker = format!("127.0.0.1:{}", self.ground.port);
        for topic in self.plan.topics.iter().filter(|topic| topic.is_exactly_once) {
            let place = (topic.name.to_owned(), 0);
            let page = self.book.page(&place);
            let limit = PATIENCE.as_secs().to_string();
            let output = Command::new("timeout")
                .args([&limit, "kcat", "-C", "-q", "-e", "-b", &broker, "-t", topic.name])
                .args(["-p", "0", "-o", "beginning", "-f", "%o %s\n"])
                .output()
                .context("kcat")?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "kcat ended with {}: {said}", output.status);
            let text = String::from_utf8_lossy(&output.stdout);
            let mut last = -1;
            for line in text.lines() {
                let (offset, value) = line.split_once(' ').context("a line of kcat")?;
                last = offset.parse()?;
                let known = page.seen.get(&last);
                let found = Seen::read(value.as_bytes(), &place, "kcat");
                let is_same = known.is_some_and(|known| known.is_same(&found));
                ensure!(is_same, "{place:?}: at {last} kcat reads {found:?}, known is {known:?}");
            }
            let end = page.seen.last_key_value().map_or(-1, |(offset, _)| *offset);
            ensure!(last == end, "kcat reads {place:?} up to {last}, known is {end}");
        }
        Ok(())
    }
}
