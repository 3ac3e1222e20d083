package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is hanse.dev/v1alpha1.
func GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: "hanse.dev", Version: "v1alpha1"}
}

// Resource is the resource of that plural name in this group and version.
func Resource(plural string) schema.GroupVersionResource {
	return GroupVersion().WithResource(plural)
}

// AddToScheme registers the kinds of this package.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion(), &Cluster{}, &ClusterList{}, &Placement{}, &PlacementList{},
		&GlobalRoute{}, &GlobalRouteList{}, &DNSZone{}, &DNSZoneList{},
		&PlacementPolicy{}, &PlacementPolicyList{}, &ClusterPlacementPolicy{}, &ClusterPlacementPolicyList{},
		&Organization{}, &OrganizationList{}, &Workspace{}, &WorkspaceList{},
		&Residency{}, &ResidencyList{})
	metav1.AddToGroupVersion(s, GroupVersion())
	return nil
}
