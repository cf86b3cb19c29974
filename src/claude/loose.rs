//! Values that are taken if they have the type that is expected, and left out if they have another.
//!
//! The CLI changes its events from version to version. A field that turned from a text into an object
//! must cost that field, not the line.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What becomes of each type of JSON value; whatever an implementation does not mention is left out.
pub(super) trait Loose<'de>: Default {
    fn from_bool(_value: bool) -> Self {
        Self::default()
    }
    fn from_f64(_value: f64) -> Self {
        Self::default()
    }
    fn from_u64(value: u64) -> Self {
        Self::from_f64(value as f64)
    }
    fn from_text(_text: &str) -> Self {
        Self::default()
    }
    fn from_borrowed(text: &'de str) -> Self {
        Self::from_text(text)
    }
    fn from_seq<A: SeqAccess<'de>>(mut values: A) -> Result<Self, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
    fn from_map<A: MapAccess<'de>>(mut entries: A) -> Result<Self, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

/// Takes whatever comes, for any [`Loose`].
pub(super) fn take<'de, T: Loose<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(AnyValue(PhantomData))
}

struct AnyValue<T>(PhantomData<T>);

impl<'de, T: Loose<'de>> Visitor<'de> for AnyValue<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        Ok(T::from_bool(value))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        Ok(T::from_f64(value as f64))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        Ok(T::from_u64(value))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        Ok(T::from_f64(value))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok(T::from_text(text))
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<T, E> {
        Ok(T::from_borrowed(text))
    }
    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<T, A::Error> {
        T::from_seq(values)
    }
    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<T, A::Error> {
        T::from_map(entries)
    }
}

/// A text, borrowed from the line unless it has escapes.
#[derive(Debug, Default, Clone)]
pub(super) struct Text<'a>(Option<Cow<'a, str>>);

impl Text<'_> {
    /// The text; empty if there is none.
    pub(super) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }
    /// A copy, unless there is none or it is empty.
    pub(super) fn owned(&self) -> Option<String> {
        self.0
            .as_deref()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    }
}

impl<'de> Loose<'de> for Text<'de> {
    fn from_text(text: &str) -> Self {
        Self(Some(Cow::Owned(text.to_owned())))
    }
    fn from_borrowed(text: &'de str) -> Self {
        Self(Some(Cow::Borrowed(text)))
    }
}

/// A number.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Number(pub(super) Option<f64>);

impl Number {
    /// The number as a count: neither negative nor broken.
    pub(super) fn count(self) -> Option<u64> {
        self.0.filter(|number| *number >= 0.0).map(|number| number as u64)
    }
}

impl Loose<'_> for Number {
    fn from_f64(value: f64) -> Self {
        Self(value.is_finite().then_some(value))
    }
}

/// A yes or no; `None` if it is absent or something else.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Flag(pub(super) Option<bool>);

impl Flag {
    pub(super) fn is_set(self) -> bool {
        self.0 == Some(true)
    }
}

impl Loose<'_> for Flag {
    fn from_bool(value: bool) -> Self {
        Self(Some(value))
    }
}

/// Whether there is anything but null.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Presence(pub(super) bool);

impl<'de> Loose<'de> for Presence {
    fn from_bool(_: bool) -> Self {
        Self(true)
    }
    fn from_f64(_: f64) -> Self {
        Self(true)
    }
    fn from_text(_: &str) -> Self {
        Self(true)
    }
    fn from_seq<A: SeqAccess<'de>>(mut values: A) -> Result<Self, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self(true))
    }
    fn from_map<A: MapAccess<'de>>(mut entries: A) -> Result<Self, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self(true))
    }
}

/// An object's fields; the defaults if it is no object.
#[derive(Debug, Default, Clone)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Default + Deserialize<'de>> Loose<'de> for Object<T> {
    fn from_map<A: MapAccess<'de>>(entries: A) -> Result<Self, A::Error> {
        T::deserialize(MapAccessDeserializer::new(entries)).map(Self)
    }
}

/// An array's elements; none if it is no array.
#[derive(Debug, Clone)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Loose<'de> for List<T> {
    fn from_seq<A: SeqAccess<'de>>(mut values: A) -> Result<Self, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element()? {
            list.push(value);
        }
        Ok(Self(list))
    }
}

/// An object's entries; none if it is no object.
#[derive(Debug, Clone)]
pub(super) struct Entries<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Loose<'de> for Entries<T> {
    fn from_map<A: MapAccess<'de>>(mut entries: A) -> Result<Self, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            list.push(entry);
        }
        Ok(Self(list))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        take::<Text<'de>, D>(deserializer)
    }
}

/// [`Deserialize`] by way of [`Loose`].
macro_rules! deserialize_loosely {
    ($($name:ty $(, $parameter:ident: $($bound:path),+)?;)+) => {$(
        impl<'de $(, $parameter: $($bound +)+ Deserialize<'de>)?> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                take(deserializer)
            }
        }
    )+};
}

deserialize_loosely! {
    Number;
    Flag;
    Presence;
    Object<T>, T: Default;
    List<T>, T: Sized;
    Entries<T>, T: Sized;
}
