//! Breaking things, and mending them.

use std::time::Duration;

use engine::Event;
use model::Person;

use crate::control::Death;
use crate::database::Server;
use crate::scenario::{Fault, WITNESS};
use crate::world::{What, World};

impl World {
    pub fn fault(&mut self, number: usize) {
        let fault = self.scenario.faults[number].1.clone();
        self.struck = number + 1;
        self.say(|| format!("fault: {fault:?}"));
        let busy = self.clients.in_flight(self.now) > 0;
        let hit = self.strike(fault);
        self.note_health();
        // What happens to nobody proves nothing.
        self.hits += u32::from(hit && busy);
    }

    /// Whether anything changed by it.
    pub fn strike(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::Cut(from, to) => return self.net.cut(from, to, true),
            Fault::Mend(from, to) => drop(self.net.cut(from, to, false)),
            Fault::Lossy(from, to, permille) => {
                self.net.lose(from, to, permille);
                return true;
            }
            Fault::Isolate(site) => return self.net.isolate(site, true),
            Fault::Rejoin(site) => drop(self.net.isolate(site, false)),
            Fault::Kill(site) => return self.kill(site),
            Fault::Return(site) => self.bring_back(site),
            Fault::FreezeAgent(site) => {
                let place = &mut self.sites[site];
                let hit = place.alive && place.agent_up && !place.agent_frozen;
                place.agent_frozen |= hit;
                return hit;
            }
            Fault::ThawAgent(site) => self.thaw_agent(site),
            Fault::FreezeSite(site) => {
                self.hold_in_hand(site);
                return !std::mem::replace(&mut self.sites[site].frozen, true);
            }
            Fault::ThawSite(site) => self.thaw_site(site),
            Fault::FreezeServer(site) => {
                let place = &mut self.sites[site];
                let runs = place.alive && matches!(place.database.server, Server::Standby | Server::Writing);
                return runs && !std::mem::replace(&mut place.database.frozen, true);
            }
            Fault::ThawServer(site) => self.thaw_server(site),
            Fault::FreezeWatchdog(site) => {
                self.hold_in_hand(site);
                return !std::mem::replace(&mut self.sites[site].watchdog_frozen, true);
            }
            Fault::ThawWatchdog(site) => self.thaw_watchdog(site),
            Fault::SlowDisk(site, by) => return std::mem::replace(&mut self.sites[site].disk_takes, by) < by,
            Fault::CrashAgent(site) => {
                let hit = self.sites[site].agent_up;
                self.crash_agent(site);
                return hit;
            }
            Fault::CrashDatabase(site) => return self.crash_database(site),
            Fault::WipeVoter(site) => {
                let hit = self.sites[site].disk.promises.take().is_some();
                self.crash_agent(site);
                return hit;
            }
            Fault::StopApp(site) => return !std::mem::replace(&mut self.sites[site].app_stopped, true),
            Fault::StartApp(site) => self.sites[site].app_stopped = false,
            Fault::FillDisk(site) => return !std::mem::replace(&mut self.sites[site].database.full, true),
            Fault::FreeDisk(site) => self.sites[site].database.full = false,
            Fault::CrashController => return self.doom_controller(),
            Fault::Noise => return !std::mem::replace(&mut self.net.noisy, true),
            Fault::Ask(request) => {
                let by = Person::new("ada");
                return self.tell(&Event::Requested { request, by }).is_some_and(|asked| asked.is_ok());
            }
            Fault::Abort => {
                let Some(run) = self.control.state.run.as_ref().map(|run| run.id) else { return false };
                let aborted = self.tell(&Event::Aborted { run, by: Person::new("bob"), why: "rehearsed".into() });
                return aborted.is_some_and(|aborted| aborted.is_ok());
            }
            Fault::Word(site, by) => return self.word(site, by),
            Fault::Heal => self.heal(),
        }
        false
    }

    fn kill(&mut self, site: usize) -> bool {
        if !self.sites[site].alive {
            return false;
        }
        self.sites[site].alive = false;
        self.sites[site].frozen = false;
        self.lose_memory(site);
        if site == WITNESS {
            self.kill_controller();
        }
        true
    }

    fn bring_back(&mut self, site: usize) {
        if self.sites[site].alive {
            return;
        }
        self.sites[site].alive = true;
        let delay = self.rng.millis(100, 2_000);
        self.after(delay, What::AgentStarts { site });
        if site == WITNESS {
            self.after(delay, What::ControllerStarts);
        }
    }

    /// What a frozen gate had in hand when nobody watches it any more is not modelled as let through; see the crate's docs.
    fn hold_in_hand(&mut self, site: usize) {
        let place = &mut self.sites[site];
        let held = std::mem::take(&mut place.in_hand).into_iter();
        place.held.extend(held.map(|passing| What::AtGate { site, passing }));
    }

    fn thaw_agent(&mut self, site: usize) {
        if !std::mem::replace(&mut self.sites[site].agent_frozen, false) {
            return;
        }
        // What the gate had in hand goes out before anything else is looked at.
        for passing in std::mem::take(&mut self.sites[site].in_hand) {
            if self.sites[site].gate && self.sites[site].opening == passing.opening {
                self.acknowledge(site, &passing);
            }
        }
        if !self.sites[site].frozen {
            self.catch_up(site);
        }
    }

    fn thaw_site(&mut self, site: usize) {
        if std::mem::replace(&mut self.sites[site].frozen, false) {
            self.catch_up(site);
        }
    }

    fn thaw_server(&mut self, site: usize) {
        if std::mem::replace(&mut self.sites[site].database.frozen, false) {
            for what in std::mem::take(&mut self.sites[site].database.held) {
                self.at(self.now, what);
            }
        }
    }

    fn thaw_watchdog(&mut self, site: usize) {
        let place = &mut self.sites[site];
        if std::mem::take(&mut place.watchdog_frozen) {
            self.at(self.now, What::Watchdog { site });
        }
    }

    /// What came meanwhile, in its order.
    fn catch_up(&mut self, site: usize) {
        for what in std::mem::take(&mut self.sites[site].held) {
            self.at(self.now, what);
        }
    }

    fn crash_database(&mut self, site: usize) -> bool {
        let place = &mut self.sites[site];
        let hit = place.alive && matches!(place.database.server, Server::Standby | Server::Writing);
        if hit {
            let (server, work) = (Server::Stopped, place.database.work);
            place.database.kill();
            // Orders under way go on: it is the server that died, not the agent.
            (place.database.server, place.database.work) = (server, work);
        }
        hit
    }

    fn doom_controller(&mut self) -> bool {
        if !self.control.up {
            return false;
        }
        let death = match self.rng.range(0, 4) {
            0 => {
                self.kill_controller();
                return true;
            }
            1 => Death::BeforeRecords,
            2 => Death::BeforeEffects,
            _ => Death::Among(self.rng.below(3)),
        };
        self.control.doomed = Some(death);
        true
    }

    fn heal(&mut self) {
        self.net.mend();
        for site in 0..3 {
            self.bring_back(site);
            self.thaw_agent(site);
            self.thaw_site(site);
            self.thaw_server(site);
            self.thaw_watchdog(site);
            let place = &mut self.sites[site];
            place.disk_takes = Duration::ZERO;
            place.app_stopped = false;
            place.database.full = false;
        }
        self.control.doomed = None;
    }
}
