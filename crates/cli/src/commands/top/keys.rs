//! The keys.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::App;

pub const HELP: &str = "\
Keys:
  q, Ctrl-C       quit
  Up, Down, k, j  choose a channel
  Enter           look into it: its members and what they hold; Esc goes back
  s               sort by name, rate, depth, size
  r               reverse the order
  /               filter by name; Enter keeps the filter, Esc clears it
  space           pause
  h, ?            help";

impl App {
    /// Does what a key stands for. Returns false if the user wants to end.
    pub fn press(&mut self, key: KeyEvent) -> bool {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return false;
        }
        if self.is_typing {
            self.type_filter(key.code);
            return true;
        }
        match key.code {
            KeyCode::Char('q') => return false,
            KeyCode::Char('h' | '?') => self.has_help = !self.has_help,
            KeyCode::Char('s') => self.order = self.order.next(),
            KeyCode::Char('r') => self.is_reversed = !self.is_reversed,
            KeyCode::Char(' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Up | KeyCode::Char('k') => self.table.select_previous(),
            KeyCode::Down | KeyCode::Char('j') => self.table.select_next(),
            KeyCode::Home => self.table.select_first(),
            KeyCode::End => self.table.select_last(),
            KeyCode::Enter => {
                let selected = self.table.selected().unwrap_or(0);
                let shown = self.shown();
                self.inside = shown
                    .get(selected.min(shown.len().saturating_sub(1)))
                    .map(|sample| sample.stat.id);
            }
            KeyCode::Esc if self.has_help => self.has_help = false,
            KeyCode::Esc | KeyCode::Backspace => self.inside = None,
            _ => {}
        }
        true
    }

    fn type_filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.filter.clear();
                self.is_typing = false;
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(c) => self.filter.push(c),
            _ => {}
        }
    }
}
