//! The form of an upload: a `metadata` part and the modules. Only reads it; `upload` judges it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::app::App;
use crate::envelope::ApiError;
use crate::extract::Part;
use crate::migrations::Migrations;
use crate::state::Module;

/// The `metadata` part of an upload.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Metadata {
    pub(crate) main_module: Option<String>,
    pub(crate) body_part: Option<String>,
    pub(crate) bindings: Vec<Value>,
    pub(crate) compatibility_date: Option<String>,
    pub(crate) compatibility_flags: Vec<String>,
    pub(crate) migrations: Option<Migrations>,
    pub(crate) keep_bindings: Vec<String>,
    pub(crate) keep_assets: bool,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) observability: Option<Value>,
    pub(crate) logpush: Option<Value>,
    pub(crate) tail_consumers: Option<Value>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) assets: Option<UploadedAssets>,
    #[serde(flatten)]
    pub(crate) extra: BTreeMap<String, Value>,
    /// Previews send their bindings by name.
    pub(crate) env: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct UploadedAssets {
    pub(crate) jwt: Option<String>,
    pub(crate) config: Value,
}

/// A whole upload.
#[derive(Debug, Clone)]
pub struct Upload {
    pub(crate) metadata: Metadata,
    pub(crate) modules: Vec<Module>,
}

impl Upload {
    /// Reads the parts of the form and keeps the modules as blobs.
    pub fn read(app: &App, parts: &[Part]) -> Result<Self, ApiError> {
        let bytes: usize = parts.iter().map(|part| part.bytes.len()).sum();
        let bytes_max = app.config().script_bytes_max;
        if bytes > bytes_max {
            let message = format!(
                "Your Worker exceeded the size limit of {bytes_max} bytes. It has {bytes} bytes."
            );
            return Err(ApiError::new(413, 10027, message));
        }
        let metadata = parts
            .iter()
            .find(|part| part.name == "metadata")
            .ok_or_else(|| ApiError::bad_request(10021, "the upload has no `metadata` part"))?;
        let mut metadata: Metadata = serde_json::from_slice(&metadata.bytes).map_err(|error| {
            ApiError::bad_request(10021, format!("the `metadata` part is not valid: {error}"))
        })?;
        let env = std::mem::take(&mut metadata.env);
        metadata.bindings.extend(env.into_iter().map(unnamed));
        let mut modules = Vec::new();
        for part in parts.iter().filter(|part| part.name != "metadata") {
            // Source maps only serve stack traces on the real service.
            if let Some(kind) = module_kind(part.content_type.as_deref().unwrap_or_default()) {
                let name = part.file_name.clone().unwrap_or_else(|| part.name.clone());
                modules.push(Module {
                    name,
                    kind: kind.to_owned(),
                    blob: app.put_blob(&part.bytes)?,
                });
            }
        }
        let upload = Self { metadata, modules };
        upload.check_main()?;
        Ok(upload)
    }

    /// The entry module's name.
    pub(crate) fn main(&self) -> Option<&String> {
        self.metadata
            .main_module
            .as_ref()
            .or(self.metadata.body_part.as_ref())
    }

    fn check_main(&self) -> Result<(), ApiError> {
        match self.main() {
            Some(main) if self.modules.iter().any(|module| module.name == *main) => Ok(()),
            Some(main) => Err(ApiError::bad_request(
                10021,
                format!("No such module \"{main}\"."),
            )),
            None if self.metadata.assets.is_some() => Ok(()),
            None => Err(ApiError::bad_request(
                10021,
                "the upload has neither a main module nor assets",
            )),
        }
    }
}

/// A binding of a preview in the form all others have: its name inside, `id` for a database.
fn unnamed((name, mut binding): (String, Value)) -> Value {
    if let Some(fields) = binding.as_object_mut() {
        fields.insert("name".to_owned(), Value::from(name));
        if let Some(id) = fields.remove("database_id") {
            fields.insert("id".to_owned(), id);
        }
    }
    binding
}

fn module_kind(content_type: &str) -> Option<&'static str> {
    match content_type {
        "application/javascript+module" | "text/javascript+module" => Some("esm"),
        "application/javascript" | "text/javascript" => Some("cjs"),
        "text/plain" | "text/html" | "application/json" => Some("text"),
        "application/wasm" => Some("wasm"),
        "text/x-python" | "text/x-python-requirement" => Some("python"),
        "application/source-map" => None,
        _ => Some("data"),
    }
}
