//! A strict parser of line protocol as InfluxDB 1.x reads it. It must share no code with the server whose lines it
//! checks. The property tests use it and, by path, the fuzz targets.
//!
//! Rules: InfluxDB 1.x, "Line protocol reference", and `models/points.go` of 1.6: a backslash is an
//! ordinary character unless the next one is special in that place.

/// One point.
#[derive(Debug, PartialEq)]
pub struct Point {
    pub measurement: String,
    pub tags: Vec<(String, String)>,
    pub fields: Vec<(String, Value)>,
    pub timestamp: i64,
}

/// The value of a field.
#[derive(Debug, PartialEq)]
pub enum Value {
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Text(String),
}

/// Parses one line without the newline at its end. Everything that prevents its storage is an error: a control
/// character, an empty name or value, a repeated key.
pub fn parse(line: &[u8]) -> Result<Point, String> {
    let text = std::str::from_utf8(line).map_err(|e| e.to_string())?;
    if let Some(at) = text.find(char::is_control) {
        return Err(format!("a control character at {at}"));
    }
    if hides_its_end(line) {
        return Err("to InfluxDB, it does not end at its newline".to_string());
    }
    let mut rest = text;
    let measurement = word(&mut rest, ", ", ", ")?;
    let mut tags = Vec::new();
    while take(&mut rest, ',') {
        let key = word(&mut rest, ",= ", "=")?;
        expect(&mut rest, '=')?;
        tags.push((key, word(&mut rest, ",= ", ", ")?));
    }
    expect(&mut rest, ' ')?;
    let mut fields = Vec::new();
    loop {
        let key = word(&mut rest, ",= ", "=")?;
        expect(&mut rest, '=')?;
        fields.push((key, value(&mut rest)?));
        if !take(&mut rest, ',') {
            break;
        }
    }
    expect(&mut rest, ' ')?;
    let timestamp = rest.parse().map_err(|_| format!("timestamp {rest:?}"))?;
    once_each(tags.iter().map(|(key, _)| key))?;
    once_each(fields.iter().map(|(key, _)| key))?;
    Ok(Point {
        measurement,
        tags,
        fields,
        timestamp,
    })
}

/// Before it parses a line, InfluxDB looks for its end, by other rules (`scanLine`). A backslash escapes any character.
/// After the first unescaped space, a quote hides newlines if it follows more equals signs than commas.
fn hides_its_end(line: &[u8]) -> bool {
    let (mut at, mut fields, mut quoted) = (0, false, false);
    let (mut equals, mut commas) = (0, 0);
    while let Some(byte) = line.get(at) {
        match byte {
            b'\\' => at += 1,
            b' ' => fields = true,
            b'=' if fields && !quoted => equals += 1,
            b',' if fields && !quoted => commas += 1,
            b'"' if fields && equals > commas => quoted = !quoted,
            _ => {}
        }
        at += 1;
    }
    quoted
}

/// A measurement, key or tag value: the text up to an unescaped character of `ends`.
fn word(rest: &mut &str, special: &str, ends: &str) -> Result<String, String> {
    let mut word = String::new();
    let mut characters = rest.char_indices().peekable();
    let mut end = rest.len();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        if character == '\\' && next.is_some_and(|next| special.contains(next)) {
            word.extend(characters.next().map(|(_, next)| next));
        } else if special.contains(character) {
            if !ends.contains(character) {
                return Err(format!("{character:?} without a backslash after {word:?}"));
            }
            end = at;
            break;
        } else {
            word.push(character);
        }
    }
    *rest = &rest[end..];
    if word.is_empty() {
        return Err(format!("nothing before {rest:?}"));
    }
    Ok(word)
}

fn value(rest: &mut &str) -> Result<Value, String> {
    if take(rest, '"') {
        return text(rest).map(Value::Text);
    }
    let end = rest.find([',', ' ']).unwrap_or(rest.len());
    let (value, after) = rest.split_at(end);
    *rest = after;
    match value {
        "true" => return Ok(Value::Boolean(true)),
        "false" => return Ok(Value::Boolean(false)),
        _ => {}
    }
    let digits = value.strip_suffix('i');
    if let Some(Ok(integer)) = digits.map(str::parse) {
        return Ok(Value::Integer(integer));
    }
    let is_number = value
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    match value.parse() {
        Ok(float) if is_number => Ok(Value::Float(float)),
        _ => Err(format!("field value {value:?}")),
    }
}

fn text(rest: &mut &str) -> Result<String, String> {
    let mut text = String::new();
    let mut characters = rest.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                *rest = &rest[at + 1..];
                return Ok(text);
            }
            '\\' => match characters.next() {
                Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                other => return Err(format!("a backslash before {other:?}")),
            },
            _ => text.push(character),
        }
    }
    Err(format!("a text without an end: {text:?}"))
}

fn take(rest: &mut &str, wanted: char) -> bool {
    let after = rest.strip_prefix(wanted);
    *rest = after.unwrap_or(rest);
    after.is_some()
}

fn expect(rest: &mut &str, wanted: char) -> Result<(), String> {
    match take(rest, wanted) {
        true => Ok(()),
        false => Err(format!("{rest:?} instead of {wanted:?}")),
    }
}

fn once_each<'a>(keys: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut keys: Vec<&String> = keys.collect();
    keys.sort();
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("{:?} is there twice", pair[0])),
        None => Ok(()),
    }
}
