//! What is kept of an app's symbols: objects, and of each what can be compared.
//!
//! Names are the compiler's. Captions and whatever else changes nothing but texts is dropped while it is read.

use std::sync::Arc;

use serde::de::MapAccess;

use super::property::{self, Properties, Property};
use super::stream::{Member, Node};

/// The kinds of objects, in the order in which findings are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum ObjectKind {
    Table,
    TableExtension,
    Enum,
    EnumExtension,
    Page,
    PageExtension,
    Codeunit,
    Report,
    Query,
    XmlPort,
    Interface,
    PermissionSet,
    PermissionSetExtension,
}

impl ObjectKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::TableExtension => "tableExtension",
            Self::Enum => "enum",
            Self::EnumExtension => "enumExtension",
            Self::Page => "page",
            Self::PageExtension => "pageExtension",
            Self::Codeunit => "codeunit",
            Self::Report => "report",
            Self::Query => "query",
            Self::XmlPort => "xmlPort",
            Self::Interface => "interface",
            Self::PermissionSet => "permissionSet",
            Self::PermissionSetExtension => "permissionSetExtension",
        }
    }

    /// The kind of the objects in a list of symbols.
    fn of_list(name: &str) -> Option<Self> {
        Some(match name {
            "Tables" => Self::Table,
            "TableExtensions" => Self::TableExtension,
            "EnumTypes" => Self::Enum,
            "EnumExtensionTypes" => Self::EnumExtension,
            "Pages" => Self::Page,
            "PageExtensions" => Self::PageExtension,
            "Codeunits" => Self::Codeunit,
            "Reports" => Self::Report,
            "Queries" => Self::Query,
            "XmlPorts" => Self::XmlPort,
            "Interfaces" => Self::Interface,
            "PermissionSets" => Self::PermissionSet,
            "PermissionSetExtensions" => Self::PermissionSetExtension,
            _ => return None,
        })
    }
}

/// A namespace, or the whole document, which is the namespace without a name.
#[derive(Debug, Default)]
pub(super) struct Space {
    pub(super) name: Box<str>,
    pub(super) app_id: Box<str>,
    pub(super) version: Box<str>,
    pub(super) runtime: Box<str>,
    pub(super) objects: Vec<Object>,
    pub(super) spaces: Vec<Space>,
}

impl Node for Space {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut Member<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "Name" => self.name = value.name()?,
            "AppId" => self.app_id = value.text()?,
            "Version" => self.version = value.text()?,
            "RuntimeVersion" => self.runtime = value.text()?,
            "Namespaces" => self.spaces = value.list()?,
            list => {
                if let Some(kind) = ObjectKind::of_list(list) {
                    let found = value.list::<Object>()?.into_iter();
                    self.objects.extend(found.map(|object| Object { kind, ..object }));
                }
            }
        }
        Ok(())
    }

    fn weight(&self) -> usize {
        // The lists of objects are joined, for a moment both are there.
        self.name.len() + self.objects.len() * size_of::<Object>()
    }
}

/// An object of an app.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) kind: ObjectKind,
    pub(super) namespace: Arc<str>,
    pub(super) id: i64,
    pub(super) name: Box<str>,
    /// What an extension extends, as it stands there.
    pub(super) target: Box<str>,
    pub(super) properties: Properties,
    pub(super) fields: Vec<Field>,
    /// The first is the primary key, but in extensions.
    pub(super) keys: Vec<Key>,
    pub(super) values: Vec<EnumValue>,
    pub(super) interfaces: Vec<Box<str>>,
    pub(super) methods: Vec<Method>,
    pub(super) variables: Vec<Variable>,
    pub(super) controls: Vec<Control>,
    pub(super) actions: Vec<Control>,
    pub(super) views: Vec<Control>,
    pub(super) columns: Vec<Control>,
    pub(super) permissions: Vec<Permission>,
}

impl Default for Object {
    fn default() -> Self {
        Self {
            kind: ObjectKind::Table,
            namespace: Arc::default(),
            id: 0,
            name: Box::default(),
            target: Box::default(),
            properties: Properties::default(),
            fields: Vec::new(),
            keys: Vec::new(),
            values: Vec::new(),
            interfaces: Vec::new(),
            methods: Vec::new(),
            variables: Vec::new(),
            controls: Vec::new(),
            actions: Vec::new(),
            views: Vec::new(),
            columns: Vec::new(),
            permissions: Vec::new(),
        }
    }
}

impl Node for Object {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut Member<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "Id" => self.id = value.number()?,
            "Name" => self.name = value.name()?,
            "TargetObject" => self.target = value.text()?,
            "Properties" => self.properties = Properties::read(value, property::is_text_of_object)?,
            "Fields" => self.fields = value.list()?,
            "Keys" => self.keys = value.list()?,
            "Values" => self.values = value.list()?,
            "ImplementedInterfaces" => self.interfaces = value.texts()?,
            "Methods" => {
                self.methods = value.list()?;
                self.methods.iter_mut().for_each(Method::sign);
            }
            "Variables" => self.variables = value.list()?,
            "Controls" | "ControlChanges" => self.controls = value.list()?,
            "Actions" | "ActionChanges" => self.actions = value.list()?,
            "Views" | "ViewChanges" => self.views = value.list()?,
            "Elements" => self.columns = value.list()?,
            "Permissions" => self.permissions = value.list()?,
            _ => {}
        }
        Ok(())
    }

    fn weight(&self) -> usize {
        self.name.len() + self.target.len()
    }
}

/// A field of a table or of an extension of one.
#[derive(Debug, Default)]
pub(super) struct Field {
    pub(super) id: i64,
    pub(super) name: Box<str>,
    pub(super) data_type: DataType,
    pub(super) properties: Properties,
}

impl Node for Field {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut Member<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "Id" => self.id = value.number()?,
            "Name" => self.name = value.name()?,
            "TypeDefinition" => self.data_type = value.object()?,
            // So it stood there in 2017.
            "Type" => self.data_type.name = value.text()?,
            "OptionMembers" => self.data_type.members = value.texts()?,
            "Properties" => self.properties = Properties::read(value, property::is_text_of_field)?,
            _ => {}
        }
        Ok(())
    }

    fn weight(&self) -> usize {
        self.name.len() + self.data_type.weight()
    }
}

/// A type: of a field, a parameter, or what is returned.
#[derive(Debug, Default)]
pub(super) struct DataType {
    /// With the length of texts: `Code[20]`.
    pub(super) name: Box<str>,
    /// The members of an option.
    pub(super) members: Vec<Box<str>>,
    /// The enum, record, page and so on.
    pub(super) subject: Subject,
    arguments: Vec<DataType>,
    dimensions: Vec<Box<str>>,
    is_temporary: bool,
}

impl DataType {
    /// The type as AL has it, as far as it tells two types apart.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.append_to(&mut text);
        text
    }

    fn append_to(&self, text: &mut String) {
        if !self.dimensions.is_empty() {
            *text += &format!("array[{}] of ", self.dimensions.join(", "));
        }
        *text += &self.name;
        if !self.subject.is_empty() {
            *text += " ";
            *text += &self.subject.text();
        }
        if self.is_temporary {
            *text += " temporary";
        }
        for (index, argument) in self.arguments.iter().enumerate() {
            *text += if index == 0 { " of [" } else { ", " };
            argument.append_to(text);
        }
        if !self.arguments.is_empty() {
            *text += "]";
        }
    }
}

impl Node for DataType {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut Member<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "Name" => self.name = value.text()?,
            "OptionMembers" => self.members = value.texts()?,
            "Subtype" => self.subject = value.object()?,
            "TypeArguments" => self.arguments = value.list()?,
            "ArrayDimensions" => self.dimensions = value.texts()?,
            "Temporary" => self.is_temporary = value.flag()?,
            _ => {}
        }
        Ok(())
    }

    fn weight(&self) -> usize {
        self.name.len() + self.subject.name.len() + self.subject.module.len()
    }
}

/// What a type is about.
#[derive(Debug, Default)]
pub(super) struct Subject {
    pub(super) name: Box<str>,
    pub(super) id: i64,
    /// The app, if it is another one.
    pub(super) module: Box<str>,
}

impl Subject {
    fn is_empty(&self) -> bool {
        self.id == 0 && self.name.is_empty()
    }

    fn text(&self) -> String {
        match &*self.name {
            "" => self.id.to_string(),
            name => format!("\"{name}\""),
        }
    }
}

impl Node for Subject {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut Member<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "Name" => self.name = value.text()?,
            "Id" => self.id = value.number()?,
            "ModuleId" => self.module = value.text()?,
            _ => {}
        }
        Ok(())
    }
}

/// A key, by the names of its fields.
#[derive(Debug, Default)]
pub(super) struct Key {
    pub(super) name: Box<str>,
    pub(super) fields: Vec<Box<str>>,
    pub(super) properties: Properties,
}

impl Node for Key {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut Member<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "Name" => self.name = value.name()?,
            "FieldNames" => self.fields = value.texts()?,
            "Properties" => self.properties = Properties::read(value, property::is_text_of_key)?,
            _ => {}
        }
        Ok(())
    }

    fn weight(&self) -> usize {
        self.name.len()
    }
}

/// A value of an enum. Value 0 has no ordinal in the symbols.
#[derive(Debug, Default)]
pub(super) struct EnumValue {
    pub(super) ordinal: i64,
    pub(super) name: Box<str>,
    pub(super) has_implementation: bool,
}

impl Node for EnumValue {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut Member<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "Ordinal" => self.ordinal = value.number()?,
            "Name" => self.name = value.name()?,
            "Properties" => {
                let properties: Vec<Property> = value.list()?;
                self.has_implementation = properties.iter().any(|property| property.is("Implementation"));
            }
            _ => {}
        }
        Ok(())
    }

    fn weight(&self) -> usize {
        self.name.len()
    }
}

/// A procedure that others may call, or an event that they may hear.
#[derive(Debug, Default)]
pub(super) struct Method {
    pub(super) name: Box<str>,
    pub(super) is_event: bool,
    /// Types of what is passed and returned; for events names too, by which subscribers know them.
    pub(super) signature: Box<str>,
    is_hidden: bool,
    parameters: Vec<Parameter>,
    returns: DataType,
}

impl Node for Method {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut Member<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "Name" => self.name = value.name()?,
            "Parameters" => self.parameters = value.list()?,
            "ReturnTypeDefinition" => self.returns = value.object()?,
            "ReturnType" => self.returns.name = value.text()?,
            "IsLocal" | "IsInternal" => self.is_hidden |= value.flag()?,
            "Attributes" => {
                let attributes: Vec<Named> = value.list()?;
                let is_event = |attribute: &Named| {
                    ["IntegrationEvent", "BusinessEvent", "ExternalBusinessEvent"]
                        .iter()
                        .any(|event| attribute.0.eq_ignore_ascii_case(event))
                };
                self.is_event = attributes.iter().any(is_event);
            }
            _ => {}
        }
        Ok(())
    }

    fn weight(&self) -> usize {
        // Its signature takes no more than what it is made of.
        self.name.len() + self.returns.weight()
    }

    fn is_kept(&self) -> bool {
        self.is_event || !self.is_hidden
    }
}

impl Method {
    /// Makes the signature out of what it is made of, which is not needed any more.
    pub(super) fn sign(&mut self) {
        let parameter = |parameter: &Parameter| {
            let by_reference = if parameter.is_var { "var " } else { "" };
            let name = match self.is_event {
                true => format!("{}: ", parameter.name),
                false => String::new(),
            };
            format!("{by_reference}{name}{}", parameter.data_type)
        };
        let parameters: Vec<_> = self.parameters.iter().map(parameter).collect();
        let returns = match &*self.returns.text() {
            // Some compilers write down that nothing is returned.
            "" | "None" => String::new(),
            returns => format!(": {returns}"),
        };
        self.signature = format!("({}){returns}", parameters.join("; ")).into();
        self.parameters = Vec::new();
        self.returns = DataType::default();
    }
}

#[derive(Debug, Default)]
struct Parameter {
    name: Box<str>,
    is_var: bool,
    data_type: Box<str>,
}

impl Node for Parameter {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut Member<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "Name" => self.name = value.text()?,
            "IsVar" => self.is_var = value.flag()?,
            "TypeDefinition" => self.data_type = value.object::<DataType>()?.text().into(),
            "Type" => self.data_type = value.text()?,
            _ => {}
        }
        Ok(())
    }

    fn weight(&self) -> usize {
        self.name.len() + self.data_type.len()
    }
}

/// A variable that dependants may use.
#[derive(Debug, Default)]
pub(super) struct Variable {
    pub(super) name: Box<str>,
    is_protected: bool,
}

impl Node for Variable {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut Member<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "Name" => self.name = value.name()?,
            "Protected" => self.is_protected = value.flag()?,
            _ => {}
        }
        Ok(())
    }

    fn weight(&self) -> usize {
        self.name.len()
    }

    fn is_kept(&self) -> bool {
        self.is_protected
    }
}

/// A control, action, view, data item or column, with those in it.
#[derive(Debug, Default)]
pub(super) struct Control {
    pub(super) id: i64,
    pub(super) name: Box<str>,
    inside: [Vec<Control>; 3],
}

impl Control {
    /// Calls `each` for it and those in it, if they have a name.
    pub(super) fn visit<'c>(&'c self, each: &mut impl FnMut(&'c Control)) {
        if !self.name.is_empty() {
            each(self);
        }
        for control in self.inside.iter().flatten() {
            control.visit(each);
        }
    }
}

impl Node for Control {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut Member<'_, A>,
    ) -> Result<(), A::Error> {
        let [first, second, third] = &mut self.inside;
        match name {
            "Id" => self.id = value.number()?,
            "Name" => self.name = value.text()?,
            "Controls" | "Actions" | "Views" | "Columns" => *first = value.list()?,
            "DataItems" => *second = value.list()?,
            "Filters" => *third = value.list()?,
            _ => {}
        }
        Ok(())
    }

    fn weight(&self) -> usize {
        self.name.len()
    }
}

/// What a permission set permits on one object.
#[derive(Debug, Default)]
pub(super) struct Permission {
    /// The kind of object, by its number; data of tables where there is none.
    pub(super) object: i64,
    pub(super) id: i64,
    /// One bit for each right.
    pub(super) rights: i64,
}

impl Node for Permission {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut Member<'_, A>,
    ) -> Result<(), A::Error> {
        match name {
            "PermissionObject" => self.object = value.number()?,
            "Id" => self.id = value.number()?,
            "Value" => self.rights = value.number()?,
            _ => {}
        }
        Ok(())
    }
}

/// A thing of which only the name counts.
#[derive(Debug, Default)]
struct Named(Box<str>);

impl Node for Named {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut Member<'_, A>,
    ) -> Result<(), A::Error> {
        if name == "Name" {
            self.0 = value.text()?;
        }
        Ok(())
    }
}
