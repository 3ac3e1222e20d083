package controlplane

// Role is what a control plane is for.
type Role int

const (
	// Hub is a control plane without nodes: it keeps objects, others run them.
	Hub Role = iota
	// Member is an ordinary cluster, with everything that runs workloads.
	Member
)

func (r Role) String() string {
	if r == Hub {
		return "hub"
	}
	return "cluster"
}

// serviceRange is where cluster IPs come from, serviceIP its first address.
const (
	serviceRange = "10.96.0.0/16"
	serviceIP    = "10.96.0.1"
)

// profile is what differs between the roles.
type profile struct {
	apiserver        []string // flags of kube-apiserver
	controllers      []string // controllers that run
	controllersFlags []string // further flags of kube-controller-manager
	signing          string   // its flags that name the authority, up to -cert-file and -key-file
	audit, encrypt   bool
	// revocable administrators have their rights by RBAC; rotate replaces the authority in time.
	revocable, rotate bool
}

func (r Role) profile() profile {
	if r == Hub {
		return hub
	}
	return member
}

var hub = profile{
	audit:     true,
	encrypt:   true,
	revocable: true,
	rotate:    true,
	// A hub signs certificates of clients, for a day at most and when somebody with that right has approved. It has no
	// kubelets: a certificate for one of them to serve with would do for a hub of one's own, too.
	signing:          "--cluster-signing-kube-apiserver-client",
	controllersFlags: []string{"--cluster-signing-duration=24h"},
	apiserver: []string{
		// Webhooks are served by pods and pods run in members only: the hub
		// must never wait for one. Members call them.
		"--disable-admission-plugins=MutatingAdmissionWebhook,ValidatingAdmissionWebhook," +
			// These refer to what only a cluster with nodes has (classes,
			// accounts, volumes) or add finalizers that nobody here removes.
			"ServiceAccount,Priority,RuntimeClass,PersistentVolumeClaimResize," +
			"StorageObjectInUseProtection,PodGroupProtection,TaintNodesByCondition",
	},
	controllers: []string{
		"namespace-controller",
		"garbage-collector-controller",
		"serviceaccount-controller",
		"serviceaccount-token-controller",
		"clusterrole-aggregation-controller",
		"resourcequota-controller",
		"ttl-after-finished-controller",
		"validatingadmissionpolicy-status-controller",
		"certificatesigningrequest-signing-controller",
		"certificatesigningrequest-cleaner-controller",
	},
}

var member = profile{
	signing: "--cluster-signing",
	// What touches a cloud, a real machine or a kubelet's certificates is left
	// out: nothing of it is there.
	controllers: []string{
		"*",
		"-bootstrap-signer-controller",
		"-token-cleaner-controller",
		"-node-ipam-controller",
		"-persistentvolume-attach-detach-controller",
		"-persistentvolume-expander-controller",
		"-device-taint-eviction-controller",
		"-podcertificaterequest-cleaner-controller",
		"-selinux-warning-controller",
		"-storageversion-garbage-collector-controller",
		"-storage-version-migrator-controller",
		"-legacy-serviceaccount-token-cleaner-controller",
	},
	controllersFlags: []string{
		"--concurrent-deployment-syncs=16",
		"--concurrent-replicaset-syncs=16",
		"--concurrent-statefulset-syncs=16",
		"--concurrent-daemonset-syncs=8",
		"--concurrent-job-syncs=16",
		"--concurrent-endpoint-syncs=8",
		"--concurrent-service-endpoint-syncs=8",
		// Pods start within a second here: an autoscaler need not wait for them
		// as long as for real ones.
		"--horizontal-pod-autoscaler-sync-period=5s",
	},
}
