//! Draws each row as bars: ours, what nobody can be faster than, and what a user would take instead.

use crate::report::number;
use crate::results::{Results, Role, RowResult};
use anyhow::{Result, anyhow};
use plotters::prelude::*;
use std::fs;
use std::path::Path;

const WIDTH: u32 = 960;
const BAR: i32 = 26;
const TITLE: i32 = 44;
/// Where bars begin: right of the names.
const LEFT: i32 = 440;
/// The longest bar, in pixels: the figure is right of it.
const LONGEST: f64 = 400.0;

/// Draws all rows, each into a file of its name.
pub(crate) fn write(results: &Results, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for row in &results.rows {
        let path = folder.join(format!("{}.svg", row.id));
        draw(row, &path).map_err(|error| anyhow!("cannot draw {}: {error}", path.display()))?;
    }
    Ok(())
}

fn draw(row: &RowResult, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let height = TITLE + BAR * i32::try_from(row.entries.len())? + 10;
    let area = SVGBackend::new(path, (WIDTH, u32::try_from(height)?)).into_drawing_area();
    area.fill(&WHITE)?;
    let font = |size| ("sans-serif", size).into_font();
    area.draw(&Text::new(format!("{} [{}]", row.title, row.unit), (10, 12), font(17)))?;
    let most = row.entries.iter().map(|entry| entry.median).fold(0.0, f64::max);
    for (top, entry) in (TITLE..).step_by(usize::try_from(BAR)?).zip(&row.entries) {
        let color = match entry.role {
            Role::Ours => RGBColor(0x1f, 0x6f, 0xb4),
            Role::Floor => RGBColor(0xb0, 0xb0, 0xb0),
            Role::Peer => RGBColor(0xe0, 0x8a, 0x2e),
        };
        #[expect(clippy::cast_possible_truncation, reason = "a number of pixels")]
        let length = (entry.median / most * LONGEST).max(1.0) as i32;
        area.draw(&Text::new(entry.name.clone(), (10, top + 3), font(15)))?;
        area.draw(&Rectangle::new([(LEFT, top), (LEFT + length, top + BAR - 8)], color.filled()))?;
        area.draw(&Text::new(number(entry.median), (LEFT + length + 6, top + 3), font(15)))?;
    }
    area.present()?;
    Ok(())
}
