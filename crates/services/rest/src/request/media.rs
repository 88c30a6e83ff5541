//! Media types: of what is accepted and of what is sent.

/// A media type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MediaType {
    Json,
    GeoJson,
    Csv,
    /// A JSON value on each line.
    Lines,
    Text,
    Xml,
    OpenApi,
    Form,
    OctetStream,
    Any,
    /// JSON without nulls.
    ArrayStripped,
    /// A single object.
    Singular {
        stripped: bool,
    },
    /// The plan of the statement that would have made another type.
    Plan(Box<PlanType>),
    /// Any other, in the client's spelling.
    Other(String),
}

/// `application/vnd.pgrst.plan`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlanType {
    /// Whose statement.
    pub of: MediaType,
    pub json: bool,
    pub options: Vec<PlanOption>,
}

/// An option of EXPLAIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlanOption {
    Analyze,
    Verbose,
    Settings,
    Buffers,
    Wal,
}

impl PlanOption {
    const ALL: [PlanOption; 5] = [
        PlanOption::Analyze,
        PlanOption::Verbose,
        PlanOption::Settings,
        PlanOption::Buffers,
        PlanOption::Wal,
    ];

    /// The option as EXPLAIN and the media type's parameter name it.
    pub fn as_str(self) -> &'static str {
        match self {
            PlanOption::Analyze => "analyze",
            PlanOption::Verbose => "verbose",
            PlanOption::Settings => "settings",
            PlanOption::Buffers => "buffers",
            PlanOption::Wal => "wal",
        }
    }
}

impl MediaType {
    /// From a header's value; its parameters matter only to our own types.
    pub fn parse(text: &str) -> Self {
        let Some((name, parameters)) = split(text) else { return MediaType::Other(text.to_owned()) };
        let stripped = || parameter(&parameters, "nulls") == Some("stripped");
        match name.as_str() {
            "application/json" => MediaType::Json,
            "application/geo+json" => MediaType::GeoJson,
            "text/csv" => MediaType::Csv,
            "application/x-ndjson" => MediaType::Lines,
            "text/plain" => MediaType::Text,
            "text/xml" => MediaType::Xml,
            "application/openapi+json" => MediaType::OpenApi,
            "application/x-www-form-urlencoded" => MediaType::Form,
            "application/octet-stream" => MediaType::OctetStream,
            "*/*" => MediaType::Any,
            "application/vnd.pgrst.object" | "application/vnd.pgrst.object+json" => {
                MediaType::Singular { stripped: stripped() }
            }
            "application/vnd.pgrst.array" | "application/vnd.pgrst.array+json" if stripped() => {
                MediaType::ArrayStripped
            }
            "application/vnd.pgrst.array" | "application/vnd.pgrst.array+json" => MediaType::Json,
            "application/vnd.pgrst.plan" | "application/vnd.pgrst.plan+text" => plan(&parameters, false),
            "application/vnd.pgrst.plan+json" => plan(&parameters, true),
            _ => MediaType::Other(text.to_owned()),
        }
    }

    /// The name with its parameters, without a character set.
    pub fn name(&self) -> String {
        match self {
            MediaType::Json => "application/json".into(),
            MediaType::GeoJson => "application/geo+json".into(),
            MediaType::Csv => "text/csv".into(),
            MediaType::Lines => "application/x-ndjson".into(),
            MediaType::Text => "text/plain".into(),
            MediaType::Xml => "text/xml".into(),
            MediaType::OpenApi => "application/openapi+json".into(),
            MediaType::Form => "application/x-www-form-urlencoded".into(),
            MediaType::OctetStream => "application/octet-stream".into(),
            MediaType::Any => "*/*".into(),
            MediaType::ArrayStripped => "application/vnd.pgrst.array+json;nulls=stripped".into(),
            MediaType::Singular { stripped: true } => {
                "application/vnd.pgrst.object+json;nulls=stripped".into()
            }
            MediaType::Singular { stripped: false } => "application/vnd.pgrst.object+json".into(),
            MediaType::Other(name) => name.clone(),
            MediaType::Plan(plan) => {
                let format = if plan.json { "json" } else { "text" };
                let mut name = format!("application/vnd.pgrst.plan+{format}; for=\"{}\"", plan.of.name());
                if !plan.options.is_empty() {
                    let options: Vec<&str> = plan.options.iter().map(|option| option.as_str()).collect();
                    name.push_str("; options=");
                    name.push_str(&options.join("|"));
                }
                name
            }
        }
    }

    /// The value of a reply's `Content-Type`.
    pub fn content_type(&self) -> String {
        match self {
            MediaType::OctetStream | MediaType::Other(_) => self.name(),
            _ => format!("{}; charset=utf-8", self.name()),
        }
    }

    /// Exactly one row is wanted.
    pub fn is_singular(&self) -> bool {
        matches!(self, MediaType::Singular { .. })
    }
}

/// The types of an `Accept` header, best first.
pub fn accepted(header: &str) -> Vec<MediaType> {
    let mut ranked: Vec<(String, f64, i64)> = header
        .split(',')
        .map(|item| {
            let item: String = item.chars().filter(|c| *c != ' ').collect();
            let (name, quality) = match item.split_once(";q=") {
                Some((name, quality)) => {
                    let quality = quality.split(';').next().unwrap_or_default().parse().unwrap_or(1.0);
                    (name.to_owned(), quality)
                }
                None => (item, 1.0),
            };
            let count = |c: u8| name.bytes().filter(|b| *b == c).count() as i64;
            let rank = count(b';') - count(b'*');
            (name, quality, rank)
        })
        .collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.2.cmp(&a.2)));
    ranked.into_iter().map(|(name, _, _)| MediaType::parse(&name)).collect()
}

fn plan(parameters: &[(String, String)], json: bool) -> MediaType {
    let of = MediaType::parse(parameter(parameters, "for").unwrap_or("application/json"));
    let wanted: Vec<&str> = parameter(parameters, "options").unwrap_or_default().split('|').collect();
    let options = PlanOption::ALL.into_iter().filter(|option| wanted.contains(&option.as_str())).collect();
    MediaType::Plan(Box::new(PlanType { of, json, options }))
}

fn parameter<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// `type/subtype` in lower case and the parameters; nothing when it is not written like one.
fn split(text: &str) -> Option<(String, Vec<(String, String)>)> {
    let (name, rest) = match text.find([';', ' ']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let (main, sub) = name.split_once('/')?;
    let word = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || more.contains(c))
    };
    if !word(main, ".*") || !word(sub, ".*+-") {
        return None;
    }
    let parameters = parameters(rest);
    Some((name.to_ascii_lowercase(), parameters))
}

/// `; key=value; key="value"`; reading ends at the first thing that is not written so.
fn parameters(mut rest: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some(after) = rest.trim_start().strip_prefix(';') {
        let after = after.trim_start();
        let Some((key, value)) = after.split_once('=') else { break };
        let key = key.trim_end();
        let value = value.trim_start();
        if key.is_empty() || !key.chars().all(|c| c.is_alphanumeric() || c == '-') {
            break;
        }
        let (value, left) = if let Some(quoted) = value.strip_prefix('"') {
            match quoted.split_once('"') {
                Some(parts) => parts,
                None => break,
            }
        } else {
            let end =
                value.find(|c: char| !(c.is_alphanumeric() || c == '|' || c == '-')).unwrap_or(value.len());
            if end == 0 {
                break;
            }
            value.split_at(end)
        };
        found.push((key.to_lowercase(), value.to_owned()));
        rest = left;
    }
    found
}
