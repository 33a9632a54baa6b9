//! Tables as all commands draw them: columns and nothing else, so that a line can be searched and cut.

use comfy_table::{ContentArrangement, Table, presets};

/// Columns where there is no terminal to ask.
const WIDTH: u16 = 120;

pub fn draw<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    draw_wide(header.map(str::to_owned).to_vec(), rows.into_iter().map(|row| row.to_vec()))
}

/// For a number of columns that is known only when it runs.
pub fn draw_wide(header: Vec<String>, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    // The outer padding helps nobody who copies a name.
    let line = |line: String| format!("{}\n", line.strip_prefix(' ').unwrap_or(&line).trim_end());
    table.lines().map(line).collect()
}
