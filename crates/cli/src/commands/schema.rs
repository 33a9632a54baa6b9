use clap::Args;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Print the JSON Schema of antipode.yaml
///
/// For editors: save it, and point the first line of the spec to it, as in
/// `# yaml-language-server: $schema=antipode.schema.json`.
#[derive(Debug, Args)]
pub struct Schema {}

impl Schema {
    pub fn run(self, output: &Output) -> Result<Exit, Failure> {
        output.value(model::spec::schema());
        Ok(Exit::Ok)
    }
}
