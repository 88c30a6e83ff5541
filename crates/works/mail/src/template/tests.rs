use super::*;
use serde_json::json;

#[track_caller]
fn html(source: &str, data: Value) -> String {
    Template::parse(source, Mode::Html).unwrap().render(&data).unwrap()
}

#[track_caller]
fn line(source: &str, data: Value) -> String {
    Template::parse(source, Mode::Line).unwrap().render(&data).unwrap()
}

#[track_caller]
fn wrong(source: &str) -> String {
    Template::parse(source, Mode::Html).unwrap_err().to_string()
}

#[test]
fn fields_conditions_and_lists() {
    let data =
        json!({ "Email": "a@b.c", "Data": { "name": "Ann", "n": 3, "tags": ["x", "y"], "big": 1000000 } });
    for (source, expected) in [
        ("{{ .Email }}", "a@b.c"),
        ("{{.Data.name}}", "Ann"),
        ("{{ .Data.none.deeper }}|{{ .Nothing }}", "|"),
        ("{{ if .Data.name }}yes{{ else }}no{{ end }}", "yes"),
        ("{{ if .Data.x }}1{{ else if eq .Data.n 3 }}2{{ else }}3{{ end }}", "2"),
        ("{{ range .Data.tags }}<{{ . }}>{{ end }}", "<x><y>"),
        ("{{ range $i, $t := .Data.tags }}{{ $i }}{{ $t }}{{ $.Email }} {{ end }}", "0xa@b.c 1ya@b.c "),
        ("{{ range .Data.none }}x{{ else }}empty{{ end }}", "empty"),
        ("{{ with .Data }}{{ .name }}{{ end }}", "Ann"),
        ("{{ $n := .Data.name }}{{ if true }}{{ $n = \"Bob\" }}{{ end }}{{ $n }}", "Bob"),
        ("a {{- /* note */ -}} b", "ab"),
        ("a {{- .Data.name -}} \n b", "aAnnb"),
        ("{{ if and .Email (not .Data.x) (or .Data.y .Data.n) }}ok{{ end }}", "ok"),
        ("{{ .Data.name | printf \"%s-%d%%\" }}", "Ann-%"),
        ("{{ printf \"%s/%v\" .Data.name .Data.n | print }}", "Ann/3"),
        ("{{ index .Data \"name\" }}{{ index .Data.tags 1 }}{{ len .Data.tags }}", "Anny2"),
        (
            "{{ eq .Data.name \"Bob\" \"Ann\" }} {{ ne 1 2 }} {{ lt 1 2 }} {{ ge \"a\" \"b\" }}",
            "true true true false",
        ),
        ("{{ (index .Data.tags 0) }} {{ slice .Data.name 0 1 }} {{ .Data.big }}", "x A 1000000"),
        ("{{ .Data.tags }} {{ `raw \"text\"` }}", "[x y] raw \"text\""),
    ] {
        assert_eq!(line(source, data.clone()), expected.trim(), "{source}");
    }
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (source, expected) in [
        ("a\n  {{ if .X }}", "line 2, column 3: {{ if }} has no {{ end }}"),
        ("{{ .X", "line 1, column 1: the action does not end: }} is missing"),
        ("{{ end }}", "line 1, column 1: {{ end }} without a beginning"),
        ("{{ else }}", "line 1, column 1: {{ else }} without {{ if }}"),
        ("x {{ foo .X }}", "line 1, column 6: there is no function foo"),
        ("{{ $x }}", "line 1, column 4: $x is not known"),
        ("{{ template \"x\" }}", "line 1, column 1: {{ template }} is not supported"),
        ("{{ .X .Y }}", "line 1, column 7: only functions take arguments"),
        ("{{ }}", "line 1, column 1: a value is missing"),
        ("{{ \"x }}", "line 1, column 4: the text does not end"),
        ("{{ .X | .Y }}", "line 1, column 9: after a pipe a function must follow"),
        ("{{ (.X }}", "line 1, column 4: the bracket is not closed"),
        ("{{ .X @ }}", "line 1, column 7: unexpected '@'"),
        ("{{ /* x }}", "line 1, column 1: the comment does not end"),
    ] {
        assert_eq!(wrong(source), expected, "{source}");
    }
    assert!(wrong(&"{{ if .X }}".repeat(1000)).contains("too deep"));
    assert!(wrong(&format!("{{{{ {} }}}}", "(".repeat(500))).contains("too deep"));
    assert!(wrong(&"x".repeat(SOURCE_MAX + 1)).contains("at most"));
}

#[test]
fn values_are_escaped_where_they_go() {
    let evil = "<script>alert('1')</script>\"&";
    for (source, value, expected) in [
        ("<p>{{ .X }}</p>", evil, "<p>&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&#34;&amp;</p>"),
        ("<p title=\"{{ .X }}\">", "\" onclick=\"x", "<p title=\"&#34; onclick=&#34;x\">"),
        ("<p title='{{ .X }}'>", "' x", "<p title='&#39; x'>"),
        ("<p title={{ .X }}>", "a b=c>", "<p title=a&#32;b&#61;c&gt;>"),
        ("<a href=\"{{ .X }}\">", "javascript:alert(1)", "<a href=\"#blocked\">"),
        ("<a href=\"{{ .X }}\">", " JaVa\tScript:alert(1)", "<a href=\"#blocked\">"),
        ("<a href=\"{{ .X }}\">", "data:text/html,x", "<a href=\"#blocked\">"),
        ("<a href=\"{{ .X }}\">", "javascript://x%0aalert(1)", "<a href=\"#blocked\">"),
        ("<a href=\"{{ .X }}\">", "https://x.dev/a?b=c&d=é", "<a href=\"https://x.dev/a?b=c&amp;d=%C3%A9\">"),
        ("<a href=\"{{ .X }}\">", "myapp://login?x=1", "<a href=\"myapp://login?x=1\">"),
        ("<a href=\"{{ .X }}\">", "/relative:x", "<a href=\"/relative:x\">"),
        (
            "<a href=\"{{ .X }}/p?q={{ .X }}\">",
            "https://x.dev",
            "<a href=\"https://x.dev/p?q=https%3A%2F%2Fx.dev\">",
        ),
        ("<a href='?t={{ .X }}'>", "a&b'c", "<a href='?t=a%26b%27c'>"),
        ("<a HREF = {{ .X }} >", "javascript:x", "<a HREF = #blocked >"),
        ("<a href=\"java{{ .X }}\">", "script:alert(1)", "<a href=\"java#blocked\">"),
        ("<a href=\"{{ .None }}{{ .X }}\">", "javascript:x", "<a href=\"#blocked\">"),
        ("<img data-src-url=\"{{ .X }}\">", "javascript:x", "<img data-src-url=\"#blocked\">"),
        ("<p style=\"color:{{ .X }}\">", "red;x:url(//e)", "<p style=\"color:#blocked\">"),
        ("<p style=\"color:{{ .X }}\">", "#f00", "<p style=\"color:#f00\">"),
        ("<p onclick=\"f('{{ .X }}')\">", "');g(", "<p onclick=\"f('\\u0027\\u0029\\u003bg\\u0028')\">"),
        (
            "<script>var x = \"{{ .X }}\"</script>{{ .X }}",
            "</script>\"",
            "<script>var x = \"\\u003c\\u002fscript\\u003e\\u0022\"</script>&lt;/script&gt;&#34;",
        ),
        ("<style>a{color:{{ .X }}}</style>", "red}</style>", "<style>a{color:#blocked}</style>"),
        ("<title>{{ .X }}</title>", "</title><b>", "<title>&lt;/title&gt;&lt;b&gt;</title>"),
        ("<!-- {{ .X }} --><b>", "--><script>", "<!-- script --><b>"),
        (
            "<!--[if mso]><p>{{ .X }}</p><![endif]-->{{ .X }}",
            "a-->b",
            "<!--[if mso]><p>ab</p><![endif]-->a--&gt;b",
        ),
        ("<{{ .X }} a=b>", "script", "< a=b>"),
        ("<p {{ .X }}>", "onclick=x", "<p >"),
        ("<p on{{ .X }}=x>", "click", "<p on=x>"),
        ("<iframe srcdoc=\"{{ .X }}\">", "<b>", "<iframe srcdoc=\"&amp;lt;b&amp;gt;\">"),
        ("<!DOCTYPE html><p>{{ .X }}", "<", "<!DOCTYPE html><p>&lt;"),
        ("a < b {{ .X }}", "<i>", "a < b &lt;i&gt;"),
        (
            "{{ if .X }}<a href=\"{{ else }}<p title=\"{{ end }}{{ .X }}\">",
            "javascript:1",
            "<a href=\"#blocked\">",
        ),
        ("<p>{{ .X | html }}</p>", "<", "<p>&lt;</p>"),
    ] {
        assert_eq!(html(source, json!({ "X": value })), expected, "{source} with {value}");
    }
}

#[test]
fn subjects_stay_on_one_line() {
    let data = json!({ "X": "a\r\nBcc: everybody@example.com\u{2028}\u{202e}<b>" });
    assert_eq!(line(" Hi {{ .X }}\n", data), "Hi a Bcc: everybody@example.com <b>");
}

#[test]
fn values_are_never_templates() {
    assert_eq!(line("{{ .X }}", json!({ "X": "{{ .Secret }}", "Secret": "s" })), "{{ .Secret }}");
}

#[test]
fn work_and_text_are_bounded() {
    let many: Vec<Value> = (0..1000).map(Value::from).collect();
    let data = json!({ "L": many, "T": "x".repeat(10_000) });
    let nested = "{{ range .L }}{{ range $.L }}{{ range $.L }}{{ end }}{{ end }}{{ end }}";
    let template = Template::parse(nested, Mode::Html).unwrap();
    assert_eq!(template.render(&data), Err(RenderError::TooManySteps));
    let long = Template::parse("{{ range .L }}{{ $.T }}{{ end }}", Mode::Html).unwrap();
    assert_eq!(long.render(&data), Err(RenderError::TooLong));
}

/// Numbers that look like chance and are the same at every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

#[test]
fn whatever_the_template_values_stay_values() {
    const PIECES: [&str; 48] = [
        "{{ .X }}",
        "{{.Y}}",
        "{{ if .X }}",
        "{{ else }}",
        "{{ end }}",
        "{{ range .L }}",
        "{{ with .X }}",
        "{{- .X -}}",
        "{{ $a := .X }}",
        "{{ $a }}",
        "{{ printf \"%s\" .X }}",
        "{{ . }}",
        "{{ .X | urlquery }}",
        "<a href=\"",
        "<a href=",
        "<a href='",
        "\"",
        "'",
        ">",
        "<",
        "</",
        "/",
        "=",
        " ",
        "<p ",
        "title=",
        "style=\"",
        "onclick=\"",
        "<!--",
        "-->",
        "<![CDATA[",
        "<!",
        "<script>",
        "</script>",
        "<style>",
        "</style>",
        "<title>",
        "</title>",
        "https://a.dev/",
        "?q=",
        "#",
        ":",
        "java",
        "text",
        "\n",
        "{{",
        "}}",
        "<svg xlink:href=\"",
    ];
    let data = json!({ "X": "\"'`><xss onerror=1>&--></script></style></title>", "Y": "javascript:xss()", "L": ["<xss>", "</xss"] });
    let mut chance = Chance(88_172_645_463_325_252);
    let mut rendered = 0;
    for _ in 0..40_000 {
        let source: String = (0..1 + chance.below(14)).map(|_| PIECES[chance.below(PIECES.len())]).collect();
        for mode in [Mode::Html, Mode::Line] {
            let Ok(template) = Template::parse(&source, mode) else { continue };
            let text = template.render(&data).unwrap();
            if mode == Mode::Line {
                assert!(!text.contains(['\r', '\n']), "{source}");
                continue;
            }
            rendered += 1;
            let lower = text.to_lowercase();
            assert!(
                !lower.contains("<xss") && !lower.contains("</xss") && !lower.contains("'`>"),
                "{source}\n{text}"
            );
            // Inside of these a tag is only text.
            if ["<title>", "<style>", "<script>", "<!"].iter().any(|raw| lower.contains(raw)) {
                continue;
            }
            for start in ["href=\"javascript:", "href='javascript:", "href=javascript:"] {
                let Some((before, _)) = lower.split_once(start) else { continue };
                // With a quote left open it is the middle of another value.
                let open = |quote| before.matches(quote).count() % 2 == 1;
                assert!(open('\'') || open('"'), "{source}\n{text}");
            }
        }
    }
    assert!(rendered > 5_000, "{rendered}");
}
