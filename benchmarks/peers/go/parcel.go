package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var parcels = schema.GroupVersionKind{Group: "benchmarks.smbpctl.dev", Version: "v1", Kind: "Parcel"}

// Parcel is the custom resource of the benchmarks as Go structs, the way kubebuilder lays them out.
type Parcel struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ParcelSpec   `json:"spec,omitempty"`
	Status ParcelStatus `json:"status,omitempty"`
}

// ParcelSpec is what the author wants.
type ParcelSpec struct {
	Image    string            `json:"image,omitempty"`
	Replicas int64             `json:"replicas,omitempty"`
	Settings map[string]string `json:"settings,omitempty"`
	Ports    []ParcelPort      `json:"ports,omitempty"`
}

// ParcelPort is one port of a parcel.
type ParcelPort struct {
	Name     string `json:"name"`
	Port     int64  `json:"port,omitempty"`
	Protocol string `json:"protocol,omitempty"`
}

// ParcelStatus is what the controller saw.
type ParcelStatus struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	ReadyReplicas      int64              `json:"readyReplicas,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
}

// ParcelList is a list of parcels.
type ParcelList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Parcel `json:"items"`
}

// DeepCopyInto copies the receiver, as controller-gen generates it.
func (in *Parcel) DeepCopyInto(out *Parcel) {
	*out = *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	if in.Spec.Settings != nil {
		out.Spec.Settings = make(map[string]string, len(in.Spec.Settings))
		for key, value := range in.Spec.Settings {
			out.Spec.Settings[key] = value
		}
	}
	out.Spec.Ports = append([]ParcelPort(nil), in.Spec.Ports...)
	if in.Status.Conditions != nil {
		out.Status.Conditions = make([]metav1.Condition, len(in.Status.Conditions))
		for i := range in.Status.Conditions {
			in.Status.Conditions[i].DeepCopyInto(&out.Status.Conditions[i])
		}
	}
}

// DeepCopyObject satisfies runtime.Object.
func (in *Parcel) DeepCopyObject() runtime.Object {
	out := new(Parcel)
	in.DeepCopyInto(out)
	return out
}

// DeepCopyObject satisfies runtime.Object.
func (in *ParcelList) DeepCopyObject() runtime.Object {
	out := &ParcelList{TypeMeta: in.TypeMeta}
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = make([]Parcel, len(in.Items))
	for i := range in.Items {
		in.Items[i].DeepCopyInto(&out.Items[i])
	}
	return out
}

// scheme knows the typed parcels and nothing else.
func scheme() *runtime.Scheme {
	made := runtime.NewScheme()
	metav1.AddToGroupVersion(made, parcels.GroupVersion())
	made.AddKnownTypes(parcels.GroupVersion(), &Parcel{}, &ParcelList{})
	return made
}
