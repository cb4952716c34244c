//! XML as a stream of elements and text: names without their prefixes, entities of the standard only,
//! so that no entity of a file's own can expand. What is not well-formed ends the stream.

use crate::decode;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use std::borrow::Cow;

/// Real documents nest some 40 levels; text boxes within tables within tables stay below 200.
const MAX_DEPTH: usize = 512;

/// What the stream is made of. An empty element is an opening and a closing.
pub(crate) enum Node<'a> {
    Open(Element<'a>),
    /// The name without its prefix.
    Close(String),
    Text(Cow<'a, str>),
}

/// A start tag.
pub(crate) struct Element<'a>(BytesStart<'a>);

impl Element<'_> {
    /// The name without its prefix.
    pub(crate) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// The value of the attribute with this name, whatever its prefix.
    pub(crate) fn attr(&self, local_name: &str) -> Option<String> {
        self.find(|key| key.rsplit(':').next() == Some(local_name))
    }

    /// The value of the attribute with this name and prefix, where one without a prefix means
    /// something else.
    pub(crate) fn prefixed_attr(&self, name: &str) -> Option<String> {
        self.find(|key| key == name)
    }

    fn find(&self, is_it: impl Fn(&str) -> bool) -> Option<String> {
        let mut attributes = self.0.attributes();
        let found = attributes.with_checks(false).flatten().find(|a| is_it(a.key.into_inner()))?;
        found.normalized_value(XmlVersion::Implicit1_0).ok().map(Cow::into_owned)
    }
}

/// The stream.
pub(crate) struct Xml<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
    is_damaged: bool,
}

impl<'a> Xml<'a> {
    pub(crate) fn new(source: &'a str) -> Self {
        let mut reader = Reader::from_str(source);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        Self { reader, depth: 0, is_damaged: false }
    }

    /// Whether the stream ended before the file did.
    pub(crate) fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// Leaves out the rest of the element that was opened last, up to its end.
    pub(crate) fn skip_element(&mut self) {
        let outer = self.depth.saturating_sub(1);
        while self.depth > outer && self.next().is_some() {}
    }

    /// The text up to the end of the element that was opened last.
    pub(crate) fn inner_text(&mut self) -> String {
        let outer = self.depth.saturating_sub(1);
        let mut text = String::new();
        while self.depth > outer {
            match self.next() {
                Some(Node::Text(part)) => text.push_str(&part),
                Some(_) => {}
                None => break,
            }
        }
        text
    }
}

impl<'a> Iterator for Xml<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        loop {
            if self.is_damaged {
                return None;
            }
            match self.reader.read_event() {
                Ok(Event::Start(start)) => {
                    self.depth += 1;
                    self.is_damaged = self.depth > MAX_DEPTH;
                    return Some(Node::Open(Element(start)));
                }
                Ok(Event::End(end)) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Some(Node::Close(end.local_name().into_inner().to_owned()));
                }
                Ok(Event::Text(text)) => return Some(Node::Text(text.into_inner())),
                Ok(Event::CData(text)) => return Some(Node::Text(text.into_inner())),
                Ok(Event::GeneralRef(entity)) => {
                    let c = match entity.as_ref() {
                        "lt" => '<',
                        "gt" => '>',
                        "amp" => '&',
                        "quot" => '"',
                        "apos" => '\'',
                        _ => match entity.resolve_char_ref() {
                            Ok(Some(c)) => c,
                            _ => continue,
                        },
                    };
                    return Some(Node::Text(Cow::Owned(c.to_string())));
                }
                Ok(Event::Eof) => {
                    self.is_damaged = self.depth > 0;
                    return None;
                }
                Ok(_) => {}
                Err(_) => self.is_damaged = true,
            }
        }
    }
}

/// The characters of an XML file: UTF-8 unless it says otherwise.
pub(crate) fn characters(bytes: Vec<u8>) -> String {
    let has_mark = bytes.starts_with(b"\xef\xbb\xbf") || bytes.starts_with(b"\xff\xfe");
    match String::from_utf8(bytes) {
        Ok(text) if !has_mark => text,
        Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
        Err(error) => {
            let bytes = error.into_bytes();
            decode::decode(&bytes, decode::declared_in_markup(&bytes), "").0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(source: &str) -> (String, bool) {
        let mut xml = Xml::new(source);
        let mut told = String::new();
        for node in xml.by_ref() {
            match node {
                Node::Open(e) => told.push_str(&format!("<{}>", e.name())),
                Node::Close(name) => told.push_str(&format!("</{name}>")),
                Node::Text(text) => told.push_str(&text),
            }
        }
        (told, xml.is_damaged())
    }

    #[test]
    fn names_lose_prefixes_and_entities_are_the_standard_ones() {
        for (source, want, is_damaged) in [
            ("<?xml version='1.0'?><w:p a='1'>x &amp; &#233;<b/></w:p>", "<p>x & é<b></b></p>", false),
            ("<!DOCTYPE a [<!ENTITY e 'boom'>]><a>&e;<![CDATA[<&]]></a>", "<a><&</a>", false),
            ("<a><b>cut", "<a><b>cut", true),
            ("<a></b></a></a>", "<a></b></a></a>", false),
        ] {
            assert_eq!(told(source), (want.to_owned(), is_damaged), "{source}");
        }
        assert!(told(&"<a>".repeat(100_000)).1);
    }

    #[test]
    fn attributes_and_skipping() {
        let mut xml = Xml::new("<s id='1' r:id='2'><x>a<x/>b</x>c&lt;<i>d</i></s>");
        let Some(Node::Open(e)) = xml.next() else { panic!("it starts with a tag") };
        assert_eq!((e.attr("id"), e.prefixed_attr("r:id")), (Some("1".into()), Some("2".into())));
        assert_eq!(e.attr("none"), None);
        xml.next();
        xml.skip_element();
        assert_eq!(xml.inner_text(), "c<d");
    }
}
