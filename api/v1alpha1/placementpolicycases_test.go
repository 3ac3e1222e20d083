package v1alpha1_test

func validSpecs() []string {
	return []string{
		"{}",
		`
select:
  kinds: [{apiVersion: apps/v1, kind: Deployment}, {apiVersion: v1, kind: Service}, {apiVersion: rbac.authorization.k8s.io/v1, kind: Role}]
  names: [web, "system:node"]
  labels:
    matchLabels: {app.kubernetes.io/name: web, empty: ""}
    matchExpressions: [{key: tier, operator: In, values: [gold, ""]}, {key: old, operator: DoesNotExist}]
clusters:
  fields: [{key: continent, operator: In, values: [EU]}, {key: zone, operator: NotIn, values: [eu-west-1a]}]
  exclude: [azure-test]
fallback:
- {name: america, fields: [{key: provider, operator: In, values: [aws]}]}
- {names: [google]}
division:
  strategy: Weighted
  limits:
    aws: {min: 1, max: 5, weight: 2}
    "*": {weight: 1}
  rebalance: true
spread: [{key: region, atLeast: 2}, {key: topology.kubernetes.io/zone, atLeast: 3}]
tolerations:
- {key: hanse.dev/maintenance, operator: Exists, effect: NoExecute, tolerationSeconds: 60}
- {key: dedicated, value: web}
- {operator: Exists}
failover: {enabled: false, after: 1m30s, unschedulableAfter: 0s}
rollout: {by: Region, order: [eu-west-1, us-east-1], paused: true, wait: 5m, onFailure: Continue, progressDeadline: 15m}`,
		"rollout: {groups: [{name: canary, names: [aws]}, {labels: {matchLabels: {stage: prod}}}]}",
		"division: {limits: {aws: {min: 2, max: 2}}}",
		"division: {limits: {aws: {weight: 0}, azure: {weight: 1}}}",
		"division: {strategy: Duplicate}",
		"clusters: {names: [aws, azure]}\nspread: [{key: region, atLeast: 2}, {key: zone, atLeast: 6}]",
		"clusters: {names: [aws]}\nfallback: [{names: [azure]}]\nspread: [{key: cluster, atLeast: 2}]",
		`
overrides:
- name: eu
  clusters: {names: [azure], labels: {matchLabels: {stage: prod}}}
  kinds: [{apiVersion: apps/v1, kind: Deployment}]
  images:
  - {registry: "registry.example:5000/mirror"}
  - {registry: "[2001:db8::1]:5000"}
  - {container: web, tag: v1.2, digest: "sha256:0123456789012345678901234567890123456789012345678901234567890123"}
  - {container: web, image: nginx}
  replicas: 0
  env: [{container: web, set: [{name: REGION, value: eu}, {name: EMPTY, value: ""}], remove: [DEBUG]}]
  command: [{replace: []}]
  args: [{container: web, remove: [--debug], append: [--region=eu, ""]}]
  storageClass: managed-csi
  labels: {set: {region: eu}, remove: [old]}
  annotations: {set: {Example.com/Note: "some text, of any kind"}}
  podLabels: {set: {region: eu}}
  podAnnotations: {remove: [example.com/old]}
  jsonPatch:
  - {op: add, path: /spec/template/spec/priorityClassName, value: high}
  - {op: replace, path: /metadata/annotations/example.com~1a, value: b}
  - {op: test, path: /spec/x, value: {a: [1, true, 1.5]}}
  - {op: remove, path: /spec/paused}
  - {op: move, from: /spec/a, path: /spec/b}
  strategicMerge: {spec: {template: {spec: {nodeSelector: {disk: null}}}}}`,
	}
}

// invalid is a spec, and the error that is to be had for it.
type invalid struct{ spec, field, message string }

func invalidSpecs() []invalid {
	return []invalid{
		{"select: {kinds: []}", "spec.select.kinds", ""},
		{"select: {kinds: [{kind: Deployment}]}", "spec.select.kinds[0].apiVersion", "Required value"},
		{"select: {kinds: [{apiVersion: apps/v1, kind: deployments}]}", "spec.select.kinds[0].kind", ""},
		{"select: {kinds: [{apiVersion: apps/v1/x, kind: Deployment}]}", "spec.select.kinds[0].apiVersion", ""},
		{"select: {names: [web, web]}", "spec.select.names[1]", "Duplicate value"},
		{"select: {names: [1]}", "spec.select.names[0]", ""},
		{"select: {labels: {}}", "spec.select.labels", "must have matchLabels or matchExpressions"},
		{"select: {labels: {matchLabels: {-a: b}}}", "spec.select.labels.matchLabels", "each key must be a label key"},
		{"select: {labels: {matchLabels: {a: -b}}}", "spec.select.labels.matchLabels.a", ""},
		{"select: {labels: {matchExpressions: [{key: a, operator: in, values: [b]}]}}", "spec.select.labels.matchExpressions[0].operator", "Unsupported value"},
		{"select: {labels: {matchExpressions: [{key: a, operator: In}]}}", "spec.select.labels.matchExpressions[0]", "operators In and NotIn need values"},
		{"select: {labels: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}", "spec.select.labels.matchExpressions[0]", "operators In and NotIn need values"},
		{"select: {labels: {matchExpressions: [{key: a b, operator: Exists}]}}", "spec.select.labels.matchExpressions[0].key", "must be a label key"},

		{"clusters: {}", "spec.clusters", "must have names, labels, fields or exclude"},
		{"clusters: {names: []}", "spec.clusters.names", ""},
		{"clusters: {fields: [{key: country, operator: In, values: [de]}]}", "spec.clusters.fields[0].key", "Unsupported value: \"country\""},
		{"clusters: {fields: [{key: region, operator: Exists, values: [de]}]}", "spec.clusters.fields[0].operator", "Unsupported value"},
		{"clusters: {fields: [{key: region, operator: In, values: []}]}", "spec.clusters.fields[0].values", ""},
		{"fallback: [{names: [aws]}]", "spec", "fallback needs clusters"},
		{"clusters: {names: [aws]}\nfallback: [{name: x}]", "spec.fallback[0]", "must have names"},

		{"division: {strategy: even}", "spec.division.strategy", "Unsupported value: \"even\""},
		{"division: {strategy: Weighted}", "spec.division", "strategy Weighted needs a weight"},
		{"division: {strategy: Weighted, limits: {aws: {min: 1}}}", "spec.division", "strategy Weighted needs a weight"},
		{"division: {strategy: Weighted, limits: {aws: {weight: 0}, azure: {weight: 0}}}", "spec.division", "the weights in limits must not all be 0"},
		{"division: {limits: {aws: {weight: 0}}}", "spec.division", "the weights in limits must not all be 0"},
		{"division: {strategy: Pack, limits: {aws: {weight: 1}}}", "spec.division", "limits may have weights with strategy Weighted only"},
		{"division: {strategy: Duplicate, limits: {aws: {max: 1}}}", "spec.division", "strategy Duplicate has no limits"},
		{"division: {limits: {aws: {min: 3, max: 2}}}", "spec.division.limits[aws]", "min must not be above max"},
		{"division: {limits: {aws: {min: 1, max: 0}}}", "spec.division.limits[aws]", "min must not be above max"},
		{"division: {limits: {aws: {min: -1}}}", "spec.division.limits.aws.min", ""},
		{"division: {limits: {aws: {max: 1.5}}}", "spec.division.limits.aws.max", ""},
		{"division: {limits: {aws: {weight: 1000001}}}", "spec.division.limits.aws.weight", ""},

		{"spread: [{key: region, atLeast: 1}]", "spec.spread[0].atLeast", ""},
		{"spread: [{key: region, atLeast: 2}, {key: region, atLeast: 3}]", "spec.spread[1]", "Duplicate value"},
		{"clusters: {names: [aws, azure]}\nspread: [{key: region, atLeast: 3}]", "spec", "spread asks for more than there are names in clusters"},
		{"spread: [{key: a b, atLeast: 2}]", "spec.spread[0].key", "must be cluster, zone, region"},

		{"tolerations: [{value: a}]", "spec.tolerations[0]", "without a key the operator must be Exists"},
		{"tolerations: [{key: a, operator: Exists, value: b}]", "spec.tolerations[0]", "operator Exists has no value"},
		{"tolerations: [{key: a, effect: Never}]", "spec.tolerations[0].effect", "Unsupported value"},
		{"tolerations: [{key: a, tolerationSeconds: 3}]", "spec.tolerations[0]", "tolerationSeconds is for effect NoExecute"},
		{"tolerations: [{key: /a}]", "spec.tolerations[0].key", ""},

		{"failover: {after: soon}", "spec.failover.after", ""},
		{"failover: {after: 0s}", "spec.failover.after", "must be from 1s to 168h"},
		{"failover: {after: -3s}", "spec.failover.after", ""},
		{"failover: {after: 1d}", "spec.failover.after", "should match"},
		{"failover: {after: '1 w'}", "spec.failover.after", "should match"},
		{"failover: {after: 1.5h}", "spec.failover.after", "should match"},
		{"failover: {unschedulableAfter: 2 days}", "spec.failover.unschedulableAfter", "should match"},
		{"failover: {unschedulableAfter: -5m}", "spec.failover.unschedulableAfter", "should match"},
		{"rollout: {by: Region, wait: -1s}", "spec.rollout.wait", "should match"},
		{"rollout: {by: Region, wait: 1w}", "spec.rollout.wait", "should match"},
		{"rollout: {by: Region, progressDeadline: 1 hour}", "spec.rollout.progressDeadline", "should match"},
		{"failover: {after: 169h}", "spec.failover.after", "must be from 1s to 168h"},
		{"failover: {unschedulableAfter: 1ms}", "spec.failover.unschedulableAfter", "must be from 1s to 168h, or 0s"},

		{"rollout: {}", "spec.rollout", "either by or groups must say what the steps are"},
		{"rollout: {by: Region, groups: [{names: [aws]}]}", "spec.rollout", "either by or groups must say what the steps are"},
		{"rollout: {groups: [{names: [aws]}], order: [aws]}", "spec.rollout", "order needs by"},
		{"rollout: {by: region}", "spec.rollout.by", "Unsupported value"},
		{"rollout: {by: Region, order: [a, a]}", "spec.rollout.order[1]", "Duplicate value"},
		{"rollout: {by: Region, onFailure: Panic}", "spec.rollout.onFailure", "Unsupported value"},
		{"rollout: {by: Region, progressDeadline: 0s}", "spec.rollout.progressDeadline", ""},
		{"rollout: {by: Region, wait: 721h}", "spec.rollout.wait", ""},

		{"overrides: [{name: x, clusters: {names: [aws]}}]", "spec.overrides[0]", "an override must change something"},
		{"overrides: [{replicas: -1}]", "spec.overrides[0].replicas", ""},
		{"overrides: [{replicas: 1, clusters: {}}]", "spec.overrides[0].clusters", "must have names"},
		{"overrides: [{images: [{container: a}]}]", "spec.overrides[0].images[0]", "must have image, registry"},
		{"overrides: [{images: [{image: a, tag: b}]}]", "spec.overrides[0].images[0]", "image is the whole reference"},
		{"overrides: [{images: [{registry: 'https://a'}]}]", "spec.overrides[0].images[0].registry", ""},
		{"overrides: [{images: [{registry: 'a/'}]}]", "spec.overrides[0].images[0].registry", ""},
		{"overrides: [{images: [{repository: A}]}]", "spec.overrides[0].images[0].repository", ""},
		{"overrides: [{images: [{tag: ':v1'}]}]", "spec.overrides[0].images[0].tag", ""},
		{"overrides: [{images: [{digest: 'sha256:12'}]}]", "spec.overrides[0].images[0].digest", ""},
		{"overrides: [{env: [{container: a}]}]", "spec.overrides[0].env[0]", "must have set or remove"},
		{"overrides: [{env: [{set: [{name: A=B, value: c}]}]}]", "spec.overrides[0].env[0].set[0].name", ""},
		{"overrides: [{env: [{set: [{name: A, value: c}, {name: A, value: d}]}]}]", "spec.overrides[0].env[0].set[1]", "Duplicate value"},
		{"overrides: [{args: [{container: a}]}]", "spec.overrides[0].args[0]", "must have replace, remove or append"},
		{"overrides: [{args: [{replace: [a], append: [b]}]}]", "spec.overrides[0].args[0]", "replace is the whole list"},
		{"overrides: [{storageClass: Fast}]", "spec.overrides[0].storageClass", ""},
		{"overrides: [{labels: {}}]", "spec.overrides[0].labels", "must have set or remove"},
		{"overrides: [{labels: {set: {a b: c}}}]", "spec.overrides[0].labels.set", "each key must be a label key"},
		{"overrides: [{labels: {set: {a: b c}}}]", "spec.overrides[0].labels.set.a", ""},
		{"overrides: [{labels: {set: {hanse.dev/managed: x}}}]", "spec.overrides[0].labels.set", "labels of hanse.dev cannot be overridden"},
		{"overrides: [{podLabels: {remove: [hanse.dev/managed]}}]", "spec.overrides[0].podLabels.remove", "labels of hanse.dev cannot be overridden"},
		{"overrides: [{annotations: {set: {hanse.dev/origin: x}}}]", "spec.overrides[0].annotations.set", "annotations of hanse.dev cannot be overridden"},
		{"overrides: [{annotations: {set: {a/b/c: x}}}]", "spec.overrides[0].annotations.set", "each key must be an annotation key"},
		{"overrides: [{jsonPatch: [{op: put, path: /a, value: 1}]}]", "spec.overrides[0].jsonPatch[0].op", "Unsupported value"},
		{"overrides: [{jsonPatch: [{op: add, path: spec/a, value: 1}]}]", "spec.overrides[0].jsonPatch[0].path", ""},
		{"overrides: [{jsonPatch: [{op: add, path: /spec/~2, value: 1}]}]", "spec.overrides[0].jsonPatch[0].path", ""},
		{"overrides: [{jsonPatch: [{op: replace, path: '', value: {}}]}]", "spec.overrides[0].jsonPatch[0].path", ""},
		{"overrides: [{jsonPatch: [{op: add, path: /metadata/name, value: x}]}]", "spec.overrides[0].jsonPatch[0].path", "apiVersion, kind, status"},
		{"overrides: [{jsonPatch: [{op: remove, path: /status/x}]}]", "spec.overrides[0].jsonPatch[0].path", "apiVersion, kind, status"},
		{"overrides: [{jsonPatch: [{op: replace, path: /kind, value: x}]}]", "spec.overrides[0].jsonPatch[0].path", "apiVersion, kind, status"},
		{"overrides: [{jsonPatch: [{op: add, path: /metadata/annotations/hanse.dev~1origin, value: x}]}]", "spec.overrides[0].jsonPatch[0].path", "apiVersion, kind, status"},
		{"overrides: [{jsonPatch: [{op: move, path: /a}]}]", "spec.overrides[0].jsonPatch[0]", "move and copy need from"},
		{"overrides: [{jsonPatch: [{op: remove, path: /a, from: /b}]}]", "spec.overrides[0].jsonPatch[0]", "move and copy need from"},
		{"overrides: [{strategicMerge: [1]}]", "spec.overrides[0].strategicMerge", ""},
	}
}
