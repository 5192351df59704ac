//! The custom resource of the benchmarks as Rust structs, the way `derive(CustomResource)` has it.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Resource,
    api::{ApiResource, ObjectMeta},
};
use serde::{Deserialize, Serialize};

pub fn resource() -> ApiResource {
    ApiResource {
        group: "benchmarks.smbpctl.dev".into(),
        version: "v1".into(),
        api_version: "benchmarks.smbpctl.dev/v1".into(),
        kind: "Parcel".into(),
        plural: "parcels".into(),
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parcel {
    pub api_version: Option<String>,
    pub kind: Option<String>,
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: Spec,
    pub status: Option<Status>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Spec {
    pub image: Option<String>,
    pub replicas: Option<i64>,
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    #[serde(default)]
    pub ports: Vec<Port>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Port {
    pub name: String,
    pub port: Option<i64>,
    pub protocol: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub observed_generation: Option<i64>,
    pub ready_replicas: Option<i64>,
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

impl Resource for Parcel {
    type DynamicType = ApiResource;
    type Scope = kube::core::DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
