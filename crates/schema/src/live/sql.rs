//! Reads SQLite's `create` statements: tokens, canonical text, table definitions.

use super::{LiveColumn, LiveForeignKey, LiveIndex, LiveTable};

/// A word, quoted name, literal or symbol of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    text: String,
    quoted: bool,
}

impl Token {
    /// Whether this is the given keyword or symbol; a quoted name never is.
    pub(super) fn is(&self, word: &str) -> bool {
        !self.quoted && self.text == word
    }

    fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }
}

/// Splits a statement; comments go, words outside quotes become lower case.
pub(super) fn tokens(sql: &str) -> Result<Vec<Token>, String> {
    let chars: Vec<char> = sql.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let start = at;
        let next = chars.get(at + 1).copied();
        match chars[at] {
            c if c.is_whitespace() => at += 1,
            '-' if next == Some('-') => {
                at = chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| at + n);
            }
            '/' if next == Some('*') => at = end_of_comment(&chars, at)?,
            quote @ ('\'' | '"' | '`' | '[') => {
                let (text, end) = quoted(&chars, at, quote)?;
                found.push(if quote == '\'' {
                    Token { text, quoted: false }
                } else {
                    Token { text: text.to_lowercase(), quoted: true }
                });
                at = end;
            }
            c if is_word(c) => {
                while at < chars.len() && (is_word(chars[at]) || (chars[at] == '.' && chars[start].is_ascii_digit())) {
                    at += 1;
                }
                let text: String = chars[start..at].iter().collect();
                found.push(Token { text: text.to_lowercase(), quoted: false });
            }
            c => {
                let pair: String = [Some(c), next].into_iter().flatten().collect();
                let text = if ["<=", ">=", "<>", "!=", "==", "||", "->"].contains(&pair.as_str()) {
                    pair
                } else {
                    c.to_string()
                };
                at += text.chars().count();
                found.push(Token { text, quoted: false });
            }
        }
    }
    Ok(found)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn end_of_comment(chars: &[char], start: usize) -> Result<usize, String> {
    let end = chars[start + 2..].windows(2).position(|pair| pair == ['*', '/']);
    end.map(|n| start + n + 4).ok_or_else(|| "a comment does not end".to_owned())
}

/// The text in quotes (a literal keeps them) and the position after it; a doubled quote is one.
fn quoted(chars: &[char], start: usize, quote: char) -> Result<(String, usize), String> {
    let close = if quote == '[' { ']' } else { quote };
    let mut text = String::new();
    let mut at = start + 1;
    while let Some(c) = chars.get(at) {
        if *c != close {
            text.push(*c);
        } else if close != ']' && chars.get(at + 1) == Some(&close) {
            text.push(*c);
            at += 1;
        } else {
            let text = if quote == '\'' { format!("'{}'", text.replace('\'', "''")) } else { text };
            return Ok((text, at + 1));
        }
        at += 1;
    }
    Err(format!("a {quote} does not end"))
}

/// One spelling for statements that differ in blanks, case of keywords and needless quotes.
pub(super) fn canonical(tokens: &[Token]) -> String {
    const SPACED: [&str; 17] = [
        "in", "and", "or", "not", "as", "when", "then", "else", "check", "values", "using", "is", "between", "like",
        "on", "of", "case",
    ];
    let mut out = String::new();
    let mut previous: Option<&Token> = None;
    for token in tokens {
        let space = previous.is_some_and(|before| {
            let call = token.is("(") && (before.quoted || before.text.starts_with(is_word)) && !before.is_any(&SPACED);
            !(before.is_any(&["(", "."]) || token.is_any(&[")", ",", ".", ";"]) || call)
        });
        if space {
            out.push(' ');
        }
        let plain = token.text.chars().all(is_word) && !token.text.starts_with(|c: char| c.is_ascii_digit());
        if token.quoted && !plain {
            out.push('"');
            out.push_str(&token.text.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(&token.text);
        }
        previous = Some(token);
    }
    out
}

/// Position of the parenthesis that closes the one at `open`.
pub(super) fn closing(tokens: &[Token], open: usize) -> Result<usize, String> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.is("(") {
            depth += 1;
        } else if token.is(")") {
            depth -= 1;
            if depth == 0 {
                return Ok(at);
            }
        }
    }
    Err("a parenthesis does not close".to_owned())
}

/// Parts between the commas that stand outside parentheses.
pub(super) fn split(tokens: &[Token]) -> Vec<&[Token]> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, token) in tokens.iter().enumerate() {
        if token.is("(") {
            depth += 1;
        } else if token.is(")") {
            depth = depth.saturating_sub(1);
        } else if token.is(",") && depth == 0 {
            parts.push(&tokens[start..at]);
            start = at + 1;
        }
    }
    parts.push(&tokens[start..]);
    parts
}

/// Reads `create table … ( … )`.
pub(super) fn create_table(tokens: &[Token]) -> Result<LiveTable, String> {
    let open = tokens.iter().position(|token| token.is("(")).ok_or("it has no column list")?;
    let close = closing(tokens, open)?;
    let mut table = LiveTable::default();
    for item in split(&tokens[open + 1..close]) {
        let mut cursor = Cursor { tokens: item, at: 0 };
        if item.first().is_some_and(|token| token.is_any(&["constraint", "primary", "unique", "check", "foreign"])) {
            cursor.constraints(&mut table, None)?;
        } else {
            cursor.column(&mut table)?;
        }
    }
    table.options = (close + 1 < tokens.len()).then(|| canonical(&tokens[close + 1..]));
    Ok(table)
}

/// Reads one column or table constraint from its tokens.
struct Cursor<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self, word: &str) -> bool {
        self.tokens.get(self.at).is_some_and(|token| token.is(word))
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.peek(word);
        self.at += usize::from(found);
        found
    }

    fn next(&mut self) -> Result<&'a Token, String> {
        let token = self.tokens.get(self.at).ok_or("it ends too early")?;
        self.at += 1;
        Ok(token)
    }

    fn parenthesised(&mut self) -> Result<&'a [Token], String> {
        if !self.peek("(") {
            return Err("a parenthesis is missing".to_owned());
        }
        let close = closing(self.tokens, self.at)?;
        let inner = &self.tokens[self.at + 1..close];
        self.at = close + 1;
        Ok(inner)
    }

    fn names(&mut self) -> Result<Vec<String>, String> {
        Ok(split(self.parenthesised()?).into_iter().map(canonical).collect())
    }

    fn column(&mut self, table: &mut LiveTable) -> Result<(), String> {
        const ENDS_TYPE: [&str; 11] = [
            "constraint",
            "primary",
            "not",
            "null",
            "unique",
            "check",
            "default",
            "collate",
            "references",
            "generated",
            "as",
        ];
        let name = self.next()?.text.clone();
        let start = self.at;
        while self.tokens.get(self.at).is_some_and(|token| !token.is_any(&ENDS_TYPE)) {
            if self.peek("(") { self.at = closing(self.tokens, self.at)? + 1 } else { self.at += 1 }
        }
        let data_type = canonical(&self.tokens[start..self.at]);
        table.columns.insert(name.clone(), LiveColumn { data_type, nullable: true, ..LiveColumn::default() });
        self.constraints(table, Some(&name))
    }

    /// Reads constraints to the end: of a column, or with `None` of the table.
    fn constraints(&mut self, table: &mut LiveTable, column: Option<&str>) -> Result<(), String> {
        let mut name = None;
        while self.at < self.tokens.len() {
            let keyword = self.next()?;
            if keyword.is("constraint") {
                name = Some(self.next()?.text.clone());
                continue;
            }
            let own = || column.map(|column| vec![column.to_owned()]);
            match keyword.text.as_str() {
                "primary" => {
                    self.take("key");
                    table.primary_key = own().map_or_else(|| self.names(), Ok)?;
                }
                "unique" => {
                    let columns = own().map_or_else(|| self.names(), Ok)?;
                    let name = name.take().unwrap_or_else(|| format!("unique ({})", columns.join(", ")));
                    table
                        .indexes
                        .insert(name, LiveIndex { columns, unique: true, predicate: None, method: "btree".to_owned() });
                }
                "check" => {
                    let condition = canonical(self.parenthesised()?);
                    table.checks.insert(name.take().unwrap_or_else(|| format!("check ({condition})")), condition);
                }
                "foreign" => {
                    self.take("key");
                    let columns = self.names()?;
                    self.take("references");
                    self.reference(table, &columns, name.take())?;
                }
                "references" => self.reference(table, &own().unwrap_or_default(), name.take())?,
                _ => match column.and_then(|column| table.columns.get_mut(column)) {
                    Some(column) => self.attribute(keyword, column)?,
                    None => return Err(format!("`{}` is not understood", keyword.text)),
                },
            }
        }
        Ok(())
    }

    fn attribute(&mut self, keyword: &Token, column: &mut LiveColumn) -> Result<(), String> {
        match keyword.text.as_str() {
            "not" => {
                self.take("null");
                column.nullable = false;
            }
            "default" => {
                let start = self.at;
                if self.peek("(") {
                    self.parenthesised()?;
                } else {
                    let signed = self.take("-") || self.take("+");
                    self.next().map_err(|why| if signed { "a number is missing".to_owned() } else { why })?;
                }
                column.default = Some(canonical(&self.tokens[start..self.at]));
            }
            "as" => {
                let expression = canonical(self.parenthesised()?);
                let kind = if self.take("stored") { " stored" } else { "" };
                self.take("virtual");
                column.generated = Some(format!("{expression}{kind}"));
            }
            "collate" => {
                let collation = &self.next()?.text;
                column.data_type = format!("{} collate {collation}", column.data_type);
            }
            "autoincrement" => column.data_type.push_str(" autoincrement"),
            // `null`, `asc`, `desc`, `generated always` and conflict clauses say nothing that is compared.
            _ => {}
        }
        Ok(())
    }

    fn reference(&mut self, table: &mut LiveTable, columns: &[String], name: Option<String>) -> Result<(), String> {
        let target_table = self.next()?.text.clone();
        let target_columns = if self.peek("(") { self.names()? } else { Vec::new() };
        let mut on_delete = "NO ACTION".to_owned();
        while self.take("on") {
            let deletes = self.next()?.is("delete");
            let words = if self.peek("set") || self.peek("no") { 2 } else { 1 };
            let end = self.tokens.len().min(self.at + words);
            let action = canonical(&self.tokens[self.at..end]).to_uppercase();
            self.at = end;
            if deletes {
                on_delete = action;
            }
        }
        let key = LiveForeignKey { name: name.unwrap_or_default(), target_table, target_columns, on_delete };
        table.foreign_keys.insert(columns.join(", "), key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(sql: &str) -> LiveTable {
        create_table(&tokens(sql).unwrap()).unwrap()
    }

    #[test]
    fn columns_keep_type_default_and_generation() {
        let table = table(
            "CREATE TABLE \"t\" ( -- a note, with a comma\n \"order\" varchar(255) NOT NULL DEFAULT 'it''s, (so)', n
             integer DEFAULT -1,
             at text NOT NULL DEFAULT (strftime('%Y', 'now')), price real(19, 4),
             rank smallint GENERATED ALWAYS AS (case p when 'low' then 0 else 1 end) STORED /* why */ )",
        );
        let column = |name: &str| table.columns[name].clone();
        assert_eq!(column("order").default.as_deref(), Some("'it''s, (so)'"));
        assert!(!column("order").nullable && column("n").nullable);
        assert_eq!(column("n").default.as_deref(), Some("- 1"));
        assert_eq!(column("at").default.as_deref(), Some("(strftime('%Y', 'now'))"));
        assert_eq!(column("price").data_type, "real(19, 4)");
        assert_eq!(column("rank").generated.as_deref(), Some("case p when 'low' then 0 else 1 end stored"));
    }

    #[test]
    fn constraints_keep_names_and_texts() {
        let table = table(
            "create table t (id blob not null primary key, a blob references u (id) on delete set null on update
             cascade, b text unique,
             constraint ck_t_a check (a is null or (b in ('x', 'y)'))), check (b <> ''),
             constraint fk_t_b foreign key (b, a) references v (x, y) on update no action on delete restrict, unique
             (a, b)) strict, without rowid",
        );
        assert_eq!(table.primary_key, ["id"]);
        assert_eq!(table.checks["ck_t_a"], "a is null or (b in ('x', 'y)'))");
        assert_eq!(table.checks["check (b <> '')"], "b <> ''");
        assert_eq!(table.foreign_keys["a"].on_delete, "SET NULL");
        let pair = &table.foreign_keys["b, a"];
        assert_eq!(
            (pair.name.as_str(), pair.target_table.as_str(), pair.on_delete.as_str()),
            ("fk_t_b", "v", "RESTRICT")
        );
        assert_eq!(pair.target_columns, ["x", "y"]);
        assert_eq!(table.indexes.keys().collect::<Vec<_>>(), ["unique (a, b)", "unique (b)"]);
        assert_eq!(table.options.as_deref(), Some("strict, without rowid"));
    }

    #[test]
    fn spelling_does_not_matter_but_literals_do() {
        let text = |sql: &str| canonical(&tokens(sql).unwrap());
        assert_eq!(text("\"A\"  IN('X' ,'y')"), text("a in ('X', 'y')"));
        assert_ne!(text("a = 'X'"), text("a = 'x'"));
        assert!(tokens("a = 'x").is_err());
    }
}
