//! Requests and responses as documents: `vioRequest` in, `vioResponse` out.
//!
//! ```xml
//! <vioRequest version="1" action="create"><object class="adapter" key="vhost0"><property name="slot" value="7"/></object></vioRequest>
//! <vioResponse version="1" status="0"><object class="adapter" key="vhost0" version="1"/></vioResponse>
//! <vioResponse version="1" status="131" detail="0"><exception>nothing matches</exception></vioResponse>
//! ```
//!
//! A document has at most [`MOST`] bytes and [`NODES`] elements, no document type, and nothing is fetched or expanded. Elements and
//! attributes that are not known are skipped.

use messenger::{Code, Member, Status};
use roxmltree::{Document, Node, ParsingOptions};
use std::fmt::Write;

/// The longest document, in bytes.
pub const MOST: usize = 1 << 20;
/// Elements, attributes and texts of a document at the most.
pub const NODES: u32 = 65_536;
/// Elements inside one another at the most.
const DEPTH: usize = 64;

/// Why a text is no document of this protocol, or a value cannot be in one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// It is too long; carries its length in bytes.
    #[error("a document of {0} bytes is too long")]
    TooLong(usize),
    /// Its elements are too deep inside one another.
    #[error("its elements are too deep inside one another")]
    TooDeep,
    /// It is not XML, or has a document type.
    #[error("it is no XML that is read here: {0}")]
    Syntax(#[from] roxmltree::Error),
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    Text,
    /// Its root is another one; carries which.
    #[error("its root is `{0}`")]
    Root(String),
    /// Another version; carries which.
    #[error("its version is `{0}`, and not 1")]
    Version(String),
    /// Something is missing or means nothing; carries what.
    #[error("its `{0}` is missing or means nothing")]
    Missing(&'static str),
    /// A character that no XML has.
    #[error("the character {0:?} cannot be in XML")]
    Character(char),
}

/// An object: an adapter, a client, a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// What kind of object.
    pub class: String,
    /// Which.
    pub key: String,
    /// Its version, where it is known.
    pub version: Option<u64>,
    /// What is known of it: name and value.
    pub properties: Vec<(String, String)>,
}

/// What is wanted of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VioRequest {
    /// What: `create`, `read`, `update`, `remove`, `list`, or another one.
    pub action: String,
    /// Of which; for `list` the key is empty.
    pub object: Object,
}

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The reason.
    pub status: Status,
    /// In words.
    pub text: String,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VioResponse(pub Result<Vec<Object>, Exception>);

impl From<Code> for Exception {
    fn from(code: Code) -> Exception {
        Exception { status: code.into(), text: code.text().to_owned() }
    }
}

impl VioRequest {
    /// Reads a document.
    ///
    /// # Errors
    /// It is none: see [`XmlError`].
    pub fn parse(bytes: &[u8]) -> Result<VioRequest, XmlError> {
        read(bytes, "vioRequest", |root| {
            let action = root.attribute("action").filter(|action| !action.is_empty());
            let first = root.children().find(|node| node.has_tag_name("object")).ok_or(XmlError::Missing("object"))?;
            Ok(VioRequest { action: action.ok_or(XmlError::Missing("action"))?.to_owned(), object: object(first)? })
        })
    }

    /// The document.
    ///
    /// # Errors
    /// [`XmlError::Character`].
    pub fn to_xml(&self) -> Result<String, XmlError> {
        let mut out = begin("vioRequest");
        attribute(&mut out, "action", &self.action)?;
        out.push_str(">\n");
        write_object(&mut out, &self.object)?;
        out.push_str("</vioRequest>\n");
        Ok(out)
    }
}

impl VioResponse {
    /// Reads a document.
    ///
    /// # Errors
    /// It is none: see [`XmlError`].
    pub fn parse(bytes: &[u8]) -> Result<VioResponse, XmlError> {
        read(bytes, "vioResponse", |root| {
            let code: Option<u16> = root.attribute("status").and_then(|text| text.parse().ok());
            let code = Code::from_number(code.ok_or(XmlError::Missing("status"))?);
            if code == Code::Good {
                let objects = root.children().filter(|node| node.has_tag_name("object"));
                return Ok(VioResponse(Ok(objects.map(object).collect::<Result<_, _>>()?)));
            }
            let detail = root.attribute("detail").and_then(|text| text.parse().ok()).unwrap_or(0);
            let exception = root.children().find(|node| node.has_tag_name("exception"));
            let text = exception.ok_or(XmlError::Missing("exception"))?.text().unwrap_or_default().to_owned();
            Ok(VioResponse(Err(Exception { status: Status { code, detail }, text })))
        })
    }

    /// The document.
    ///
    /// # Errors
    /// [`XmlError::Character`].
    pub fn to_xml(&self) -> Result<String, XmlError> {
        let mut out = begin("vioResponse");
        match &self.0 {
            Ok(objects) => {
                out.push_str(" status=\"0\">\n");
                objects.iter().try_for_each(|object| write_object(&mut out, object))?;
            }
            Err(Exception { status, text }) => {
                let (code, detail) = (status.code.number(), status.detail);
                // Writing to a string cannot fail.
                let _ = write!(out, " status=\"{code}\" detail=\"{detail}\">\n  <exception>");
                escape(&mut out, text)?;
                out.push_str("</exception>\n");
            }
        }
        out.push_str("</vioResponse>\n");
        Ok(out)
    }

    /// How it went.
    pub fn status(&self) -> Status {
        self.0.as_ref().err().map_or(Status::GOOD, |exception| exception.status)
    }
}

/// Nodes as objects.
pub fn nodes(members: &[Member]) -> Vec<Object> {
    let object = |member: &Member| {
        let addresses = member.addresses.iter().map(|ip| ("address".to_owned(), ip.to_string()));
        let id = ("id".to_owned(), member.node.to_string());
        let state = ("state".to_owned(), if member.up { "up" } else { "down" }.to_owned());
        let properties = [id, state].into_iter().chain(addresses).collect();
        Object { class: "node".into(), key: member.node_name.clone(), version: None, properties }
    };
    members.iter().map(object).collect()
}

fn read<T>(bytes: &[u8], name: &str, take: impl FnOnce(Node<'_, '_>) -> Result<T, XmlError>) -> Result<T, XmlError> {
    if bytes.len() > MOST {
        return Err(XmlError::TooLong(bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::Text)?;
    // Before the parser sees it: that may go as deep as the text does.
    if depth(text) > DEPTH {
        return Err(XmlError::TooDeep);
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options)?;
    let root = document.root_element();
    if !root.has_tag_name(name) {
        return Err(XmlError::Root(root.tag_name().name().to_owned()));
    }
    match root.attribute("version") {
        Some("1") => take(root),
        other => Err(XmlError::Version(other.unwrap_or_default().to_owned())),
    }
}

/// How deep elements may be inside one another, at the most: what only looks like a tag counts, too.
fn depth(text: &str) -> usize {
    let (mut now, mut most) = (0usize, 0);
    for piece in text.split('<').skip(1) {
        match piece.as_bytes().first() {
            Some(b'/') => now = now.saturating_sub(1),
            Some(b'?' | b'!') => {}
            _ if piece.split('>').next().is_some_and(|tag| tag.ends_with('/')) => {}
            _ => now += 1,
        }
        most = most.max(now);
    }
    most
}

fn object(node: Node<'_, '_>) -> Result<Object, XmlError> {
    let class = node.attribute("class").filter(|class| !class.is_empty()).ok_or(XmlError::Missing("class"))?;
    let version = node.attribute("version").map(|text| text.parse().map_err(|_| XmlError::Missing("version")));
    let property = |node: Node<'_, '_>| {
        let name = node.attribute("name").filter(|name| !name.is_empty()).ok_or(XmlError::Missing("name"))?;
        Ok((name.to_owned(), node.attribute("value").unwrap_or_default().to_owned()))
    };
    let properties = node.children().filter(|child| child.has_tag_name("property"));
    Ok(Object {
        class: class.to_owned(),
        key: node.attribute("key").unwrap_or_default().to_owned(),
        version: version.transpose()?,
        properties: properties.map(property).collect::<Result<_, XmlError>>()?,
    })
}

fn begin(root: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} version=\"1\"")
}

fn write_object(out: &mut String, object: &Object) -> Result<(), XmlError> {
    out.push_str("  <object");
    attribute(out, "class", &object.class)?;
    attribute(out, "key", &object.key)?;
    if let Some(version) = object.version {
        attribute(out, "version", &version.to_string())?;
    }
    if object.properties.is_empty() {
        out.push_str("/>\n");
        return Ok(());
    }
    out.push_str(">\n");
    for (name, value) in &object.properties {
        out.push_str("    <property");
        attribute(out, "name", name)?;
        attribute(out, "value", value)?;
        out.push_str("/>\n");
    }
    out.push_str("  </object>\n");
    Ok(())
}

fn attribute(out: &mut String, name: &str, value: &str) -> Result<(), XmlError> {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    escape(out, value)?;
    out.push('"');
    Ok(())
}

fn escape(out: &mut String, text: &str) -> Result<(), XmlError> {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // They would be read as spaces.
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => return Err(XmlError::Character(c)),
            other => out.push(other),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
