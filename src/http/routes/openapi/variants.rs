//! Bodies that serve for making and for changing a thing, described as what each of the two takes.

use utoipa::{
    PartialSchema,
    openapi::{
        Object, ObjectBuilder, RefOr, Schema,
        schema::{SchemaType, Type},
    },
};

/// The schema of `T` for a new thing, of which these fields are required.
pub fn for_new<T: PartialSchema>(required: &[&str], words: &str) -> RefOr<Schema> {
    let mut schema = T::schema();
    if let RefOr::T(Schema::Object(object)) = &mut schema {
        object.description = Some(words.to_owned());
        object.required = required.iter().map(|name| (*name).to_owned()).collect();
        for name in required {
            if let Some(property) = object.properties.get_mut(*name) {
                forbid_null(property);
            }
        }
    }
    schema
}

/// The schema of `T` for a change, which does not take these fields.
pub fn for_change<T: PartialSchema>(without: &[&str], words: &str) -> RefOr<Schema> {
    let mut schema = T::schema();
    if let RefOr::T(Schema::Object(object)) = &mut schema {
        object.description = Some(words.to_owned());
        object.properties.retain(|name, _| !without.contains(&name.as_str()));
    }
    schema
}

/// Headers by name, at most 32, or null. A header that is null is taken out.
pub fn header_values() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .additional_properties(Some(
            ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null])),
        ))
        .max_properties(Some(32))
        .build()
}

/// Takes `null` out of what a schema allows.
pub fn forbid_null(property: &mut RefOr<Schema>) {
    match property {
        RefOr::T(Schema::Object(object)) => {
            if let SchemaType::Array(types) = &mut object.schema_type {
                types.retain(|it| *it != Type::Null);
                if let [one] = types.as_slice() {
                    object.schema_type = SchemaType::Type(one.clone());
                }
            }
        }
        RefOr::T(Schema::OneOf(either)) => {
            let other = either.items.iter().find(|it| matches!(it, RefOr::Ref(_))).cloned();
            if let Some(other) = other {
                *property = other;
            }
        }
        _ => {}
    }
}
