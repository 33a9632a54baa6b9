use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use lab::world::{World, WorldError};
use model::Topology;

use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::{Code, Failure, causes};
use crate::interrupt::interrupted;
use crate::output::Output;
use crate::{logs, spec_file};

/// How often `up` looks whether the controller still runs.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Bring the workload up on this machine: every site, the controller, certificates; runs until Ctrl-C
///
/// Regions and witness are real processes on loopback addresses. What was written survives: the next `up` with the
/// same state goes on where this one stopped.
#[derive(Debug, Args)]
pub struct Up {
    /// First of the 200 ports used at each site's address
    #[arg(long, value_name = "PORT", default_value_t = 24_000, value_parser = clap::value_parser!(u16).range(1024..32_500))]
    base_port: u16,
}

impl Up {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        logs::to_stderr();
        let topology = Arc::new(spec_file::load(&globals.file, output)?);
        let state = globals.state_dir(&topology.workload);
        let runtime = tokio::runtime::Runtime::new().map_err(|e| Failure::new(Code::CannotStart, causes(&e)))?;
        runtime.block_on(self.serve(topology, &globals.file, &state, output))
    }

    async fn serve(self, topology: Arc<Topology>, spec: &Path, state: &Path, output: &Output) -> Result<Exit, Failure> {
        let told = interrupted();
        let world = bring_up(topology, spec, state, Some(self.base_port)).await.map_err(|e| failure(&e))?;
        tokio::pin!(told);
        let established = tokio::select! {
            established = lab::world::establish(&world, |line| output.notice(&format!("{line}\n"))) => established,
            () = &mut told => { down(world, output).await; return Ok(Exit::Interrupted) }
        };
        if let Err(error) = established {
            down(world, output).await;
            return Err(failure(&error));
        }
        let controller = world.controller_address();
        output.notice(&format!("up; the controller answers at {controller}, Ctrl-C stops everything\n"));
        tokio::select! {
            () = &mut told => {}
            status = controller_ended(&world) => {
                let log = world.layout.controller().join("controller.log");
                output.notice(&format!(
                    "warning: the controller stopped ({status}): the writer goes on, and nobody watches it\n\
                     hint: {} says why; stop this with Ctrl-C, mend it, and bring the workload up again\n",
                    log.display()
                ));
                told.await;
            }
        }
        down(world, output).await;
        Ok(Exit::Ok)
    }
}

/// Nothing but ourselves should end it.
async fn controller_ended(world: &World) -> std::process::ExitStatus {
    loop {
        if let Some(status) = world.controller_ended().await {
            return status;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn bring_up(topology: Arc<Topology>, spec: &Path, state: &Path, base: Option<u16>) -> Result<World, WorldError> {
    let program =
        std::env::current_exe().map_err(|source| WorldError::Start { what: "this program".into(), source })?;
    let beside = beside(spec);
    World::up(topology, &beside, state, base, &program).await
}

/// The folder of the spec.
pub fn beside(spec: &Path) -> PathBuf {
    match spec.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

async fn down(world: World, output: &Output) {
    output.notice("stopping every site\n");
    for complaint in world.down().await {
        output.notice(&format!("warning: {complaint}\n"));
    }
}

/// A lab that does not come up.
pub fn failure(error: &WorldError) -> Failure {
    let text = causes(error);
    match error {
        WorldError::Ports(_) => Failure::new(Code::PortInUse, text)
            .hint("choose other ports with `--base-port`, or stop what listens there"),
        WorldError::Postgres(find) => Failure::new(Code::NoPostgres, text).hint(find.hint()),
        WorldError::Identity(identity) => Failure::new(Code::CannotStart, text).hint(identity.hint()),
        _ => Failure::new(Code::CannotStart, text).hint("the logs below the state folder say more"),
    }
}
