//! Aligned columns.

use super::style::{Paint, Style};

/// To which side a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell with a style.
    pub fn new(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: text.into(),
            style,
        }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Style::Plain)
    }
}

/// Rows of cells under headings.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these headings, and no rows. With all headings empty, none are shown.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, which has a cell for every column or lacks some at its end.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The lines, columns two spaces apart, without spaces at the end of a line.
    pub fn lines(&self, paint: Paint) -> Vec<String> {
        let heading: Vec<Cell> = self
            .columns
            .iter()
            .map(|(name, _)| Cell::new(*name, Style::Heading))
            .collect();
        let headed = self.columns.iter().any(|(name, _)| !name.is_empty());
        let rows: Vec<&Vec<Cell>> = headed
            .then_some(&heading)
            .into_iter()
            .chain(&self.rows)
            .collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                rows.iter()
                    .filter_map(|row| row.get(column))
                    .map(Cell::width)
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        rows.iter()
            .map(|row| self.line(row, &widths, paint))
            .collect()
    }

    fn line(&self, row: &[Cell], widths: &[usize], paint: Paint) -> String {
        let mut line = String::new();
        // Spaces are written only when something follows them.
        let mut pending = 0;
        for ((cell, (_, align)), width) in row.iter().zip(&self.columns).zip(widths) {
            let gap = width.saturating_sub(cell.width());
            let (before, after) = match align {
                Align::Left => (0, gap),
                Align::Right => (gap, 0),
            };
            pending += before;
            if cell.text.is_empty() {
                pending += after + 2;
                continue;
            }
            line.extend(std::iter::repeat_n(' ', pending));
            line.push_str(&paint.apply(cell.style, &cell.text));
            pending = after + 2;
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[
            ("name", Align::Left),
            ("offset", Align::Right),
            ("", Align::Left),
        ]);
        table.row(vec!["a".into(), "+1 ns".into(), "x".into()]);
        table.row(vec![Cell::new("größer", Style::Good), "".into()]);
        table
    }

    #[test]
    fn columns_line_up() {
        assert_eq!(
            table().lines(Paint::NEVER),
            ["name    offset", "a        +1 ns  x", "größer"]
        );
    }

    #[test]
    fn colour_does_not_move_columns() {
        let plain: Vec<String> = table()
            .lines(Paint::ALWAYS)
            .iter()
            .map(|line| {
                line.replace("\u{1b}[0m", "")
                    .replace("\u{1b}[1m", "")
                    .replace("\u{1b}[32m", "")
            })
            .collect();
        assert_eq!(plain, table().lines(Paint::NEVER));
    }
}
