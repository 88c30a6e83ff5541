//! From tokens to a tree.

use super::TemplateError;
use super::function::{self, Function};
use super::lex::{Piece, Place, Token};
use serde_json::Value;

/// How deep blocks and brackets may be nested.
const DEPTH_MAX: usize = 32;

#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(String),
    Print(Pipe),
    /// `if` and `with`: the latter has the value as its dot.
    If {
        pipe: Pipe,
        with: bool,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Range {
        pipe: Pipe,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// `$a, $b := first | second`
#[derive(Debug, Clone)]
pub(super) struct Pipe {
    pub(super) variables: Vec<String>,
    /// Gives known variables a value rather than making new ones.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command>,
}

/// A function with its arguments, or a single value.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) function: Option<Function>,
    pub(super) terms: Vec<Term>,
}

/// A value and the fields that are taken from it.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub(super) base: Base,
    pub(super) fields: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) enum Base {
    Dot,
    Variable(String),
    Literal(Value),
    Pipe(Box<Pipe>),
}

pub(super) fn parse(pieces: Vec<Piece>) -> Result<Vec<Node>, TemplateError> {
    let mut parser = Parser { pieces: pieces.into_iter(), variables: vec![String::new()] };
    let (nodes, end) = parser.block(0)?;
    match end {
        End::File => Ok(nodes),
        End::Closed(place) => Err(place.error("{{ end }} without a beginning")),
        End::Else(_, place) => Err(place.error("{{ else }} without {{ if }}")),
    }
}

/// What ends a block.
enum End {
    File,
    Closed(Place),
    /// With what follows `else`.
    Else(Vec<(Token, Place)>, Place),
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    /// Names that are known here.
    variables: Vec<String>,
}

impl Parser {
    fn block(&mut self, depth: usize) -> Result<(Vec<Node>, End), TemplateError> {
        let known = self.variables.len();
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (mut tokens, place) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(tokens, place) => (tokens, place),
            };
            if depth > DEPTH_MAX {
                return Err(place.error("blocks are nested too deep"));
            }
            let word = match tokens.first() {
                Some((Token::Word(word), _)) => word.clone(),
                _ => String::new(),
            };
            match word.as_str() {
                "if" | "with" | "range" => {
                    tokens.remove(0);
                    nodes.push(self.control(&word, tokens, place, depth)?);
                }
                "end" | "else" => {
                    tokens.remove(0);
                    self.variables.truncate(known);
                    if word == "else" {
                        return Ok((nodes, End::Else(tokens, place)));
                    }
                    if let Some((_, place)) = tokens.first() {
                        return Err(place.error("{{ end }} stands alone"));
                    }
                    return Ok((nodes, End::Closed(place)));
                }
                "template" | "define" | "block" | "break" | "continue" => {
                    return Err(place.error(format!("{{{{ {word} }}}} is not supported")));
                }
                _ => nodes.push(Node::Print(self.whole_pipe(tokens, place)?)),
            }
        }
        self.variables.truncate(known);
        Ok((nodes, End::File))
    }

    fn control(
        &mut self,
        word: &str,
        tokens: Vec<(Token, Place)>,
        place: Place,
        depth: usize,
    ) -> Result<Node, TemplateError> {
        if depth > DEPTH_MAX {
            return Err(place.error("blocks are nested too deep"));
        }
        let known = self.variables.len();
        let pipe = self.whole_pipe(tokens, place)?;
        if word != "range" && pipe.variables.len() > 1 {
            return Err(place.error("only {{ range }} has two variables"));
        }
        let (then, end) = self.block(depth + 1)?;
        let otherwise = match end {
            End::Closed(_) => Vec::new(),
            End::File => return Err(place.error(format!("{{{{ {word} }}}} has no {{{{ end }}}}"))),
            End::Else(tokens, at) => self.otherwise(word, tokens, at, depth)?,
        };
        self.variables.truncate(known);
        Ok(match word {
            "range" => Node::Range { pipe, body: then, otherwise },
            _ => Node::If { pipe, with: word == "with", then, otherwise },
        })
    }

    /// What follows `else`: a block, or another `if` that ends with ours.
    fn otherwise(
        &mut self,
        word: &str,
        mut tokens: Vec<(Token, Place)>,
        place: Place,
        depth: usize,
    ) -> Result<Vec<Node>, TemplateError> {
        if let Some((Token::Word(next), _)) = tokens.first()
            && word != "range"
            && matches!(next.as_str(), "if" | "with")
        {
            let next = next.clone();
            tokens.remove(0);
            return Ok(vec![self.control(&next, tokens, place, depth + 1)?]);
        }
        if let Some((_, at)) = tokens.first() {
            return Err(at.error("after {{ else }} only `if` may follow"));
        }
        match self.block(depth + 1)? {
            (nodes, End::Closed(_)) => Ok(nodes),
            (_, End::Else(_, at)) => Err(at.error("a second {{ else }}")),
            (_, End::File) => Err(place.error("{{ else }} has no {{ end }}")),
        }
    }

    fn whole_pipe(&mut self, tokens: Vec<(Token, Place)>, place: Place) -> Result<Pipe, TemplateError> {
        let mut reader = Reader { tokens: tokens.into_iter().peekable(), last: place };
        let pipe = self.pipe(&mut reader, 0)?;
        match reader.tokens.next() {
            None => Ok(pipe),
            Some((_, at)) => Err(at.error("unexpected text after the value")),
        }
    }

    fn pipe(&mut self, reader: &mut Reader, depth: usize) -> Result<Pipe, TemplateError> {
        if depth > DEPTH_MAX {
            return Err(reader.last.error("brackets are nested too deep"));
        }
        let (variables, assigns) = self.declaration(reader)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let command = self.command(reader, depth)?;
            if !commands.is_empty() && command.function.is_none() {
                return Err(reader.last.error("after a pipe a function must follow"));
            }
            commands.push(command);
            if !reader.take(&Token::Pipe) {
                break;
            }
        }
        if !assigns {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipe { variables, assigns, commands })
    }

    /// `$a :=`, `$a =` or `$a, $b :=` at the beginning.
    fn declaration(&self, reader: &mut Reader) -> Result<(Vec<String>, bool), TemplateError> {
        let ahead: Vec<Token> = reader.tokens.clone().take(4).map(|(token, _)| token).collect();
        let (names, operator) = match ahead.as_slice() {
            [Token::Variable(a), Token::Comma, Token::Variable(b), operator, ..] => {
                (vec![a.clone(), b.clone()], operator)
            }
            [Token::Variable(a), operator, ..] => (vec![a.clone()], operator),
            _ => return Ok((Vec::new(), false)),
        };
        let assigns = match operator {
            Token::Declare => false,
            Token::Assign => true,
            _ => return Ok((Vec::new(), false)),
        };
        for _ in 0..names.len() * 2 {
            reader.next();
        }
        for name in &names {
            if name.is_empty() || (assigns && !self.variables.contains(name)) {
                return Err(reader.last.error(format!("${name} cannot be given a value")));
            }
        }
        Ok((names, assigns))
    }

    /// What a value begins with.
    fn base(
        &mut self,
        token: Token,
        place: Place,
        reader: &mut Reader,
        depth: usize,
    ) -> Result<Base, TemplateError> {
        Ok(match token {
            Token::Variable(name) if self.variables.contains(&name) => Base::Variable(name),
            Token::Variable(name) => return Err(place.error(format!("${name} is not known"))),
            Token::Text(text) => Base::Literal(Value::String(text)),
            Token::Number(number) => Base::Literal(Value::Number(number)),
            Token::Word(word) => match (word.as_str(), function::find(&word)) {
                ("true" | "false", _) => Base::Literal(Value::Bool(word == "true")),
                ("nil", _) => Base::Literal(Value::Null),
                // A function that is given to another, without arguments of its own.
                (_, Some(function)) => {
                    let command = Command { function: Some(function), terms: Vec::new() };
                    let commands = vec![command];
                    Base::Pipe(Box::new(Pipe { variables: Vec::new(), assigns: false, commands }))
                }
                (_, None) => return Err(place.error(format!("there is no function {word}"))),
            },
            Token::Open => {
                let pipe = self.pipe(reader, depth + 1)?;
                if !reader.take(&Token::Close) {
                    return Err(place.error("the bracket is not closed"));
                }
                Base::Pipe(Box::new(pipe))
            }
            Token::Field(_) | Token::Dot => Base::Dot,
            Token::Comma | Token::Declare | Token::Assign | Token::Pipe | Token::Close => {
                return Err(place.error("expected a value"));
            }
        })
    }

    fn command(&mut self, reader: &mut Reader, depth: usize) -> Result<Command, TemplateError> {
        let mut function = None;
        let mut terms = Vec::new();
        loop {
            let place = reader.place();
            let base = match reader.tokens.peek().map(|(token, _)| token.clone()) {
                None | Some(Token::Pipe | Token::Close) => break,
                Some(token) => {
                    reader.next();
                    token
                }
            };
            if let Token::Word(word) = &base
                && function.is_none()
                && terms.is_empty()
                && let Some(found) = function::find(word)
            {
                function = Some(found);
                continue;
            }
            let mut fields = Vec::new();
            let base = match base {
                Token::Field(name) => {
                    fields.push(name.trim_start().to_owned());
                    Base::Dot
                }
                base => self.base(base, place, reader, depth)?,
            };
            while let Some((Token::Field(name), _)) = reader.tokens.peek()
                && !name.starts_with(' ')
            {
                fields.push(name.clone());
                reader.next();
            }
            terms.push(Term { base, fields });
        }
        match (function, terms.len()) {
            (None, 0) => Err(reader.place().error("a value is missing")),
            (None, 2..) => Err(reader.last.error("only functions take arguments")),
            _ => Ok(Command { function, terms }),
        }
    }
}

struct Reader {
    tokens: std::iter::Peekable<std::vec::IntoIter<(Token, Place)>>,
    /// Where the last token was.
    last: Place,
}

impl Reader {
    fn next(&mut self) -> Option<Token> {
        let (token, place) = self.tokens.next()?;
        self.last = place;
        Some(token)
    }

    fn place(&mut self) -> Place {
        self.tokens.peek().map_or(self.last, |(_, place)| *place)
    }

    /// Takes the token if it is the next.
    fn take(&mut self, token: &Token) -> bool {
        let is_next = self.tokens.peek().is_some_and(|(next, _)| next == token);
        if is_next {
            self.next();
        }
        is_next
    }
}
