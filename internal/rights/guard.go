package rights

import (
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// GuardName is that of the policy that bounds the hub's account in a member, and of its binding.
const GuardName = v1alpha1.ServiceAccount + "-guard"

// account is the hub's, as API servers name it.
const account = "system:serviceaccount:" + v1alpha1.SystemNamespace + ":" + v1alpha1.ServiceAccount

// Guard is a policy for a member's API server, with its binding: what the hub's account does not do with the rights that it
// has. It holds whatever becomes of the hub, for accounts that may not write admission policies: API servers let no such policy
// decide about another, but one that is in a file of their own. With the role Full it holds the hub's users, not who controls the hub.
func Guard() (*admissionv1.ValidatingAdmissionPolicy, *admissionv1.ValidatingAdmissionPolicyBinding) {
	fail, equivalent := admissionv1.Fail, admissionv1.Equivalent
	policy := &admissionv1.ValidatingAdmissionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "ValidatingAdmissionPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: GuardName},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: &fail,
			MatchConstraints: &admissionv1.MatchResources{MatchPolicy: &equivalent, ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update, admissionv1.Delete, admissionv1.Connect},
					Rule:       admissionv1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"*/*"}},
				}}}},
			MatchConditions: []admissionv1.MatchCondition{{Name: "the-hub", Expression: fmt.Sprintf("request.userInfo.username == '%s'", account)}},
			Variables:       variables(),
			Validations:     validations(),
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "ValidatingAdmissionPolicyBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: GuardName},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: GuardName, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}
	return policy, binding
}

// labelled says whether an object has the hub's label.
func labelled(object string) string {
	return fmt.Sprintf("(%[1]s != null && has(%[1]s.metadata) && has(%[1]s.metadata.labels) && '%[2]s' in %[1]s.metadata.labels && %[1]s.metadata.labels['%[2]s'] == 'true')", object, v1alpha1.LabelManaged)
}

func labelsOf(object string) string {
	return fmt.Sprintf("(%[1]s != null && has(%[1]s.metadata) && has(%[1]s.metadata.labels) ? %[1]s.metadata.labels : {})", object)
}

func annotated(object string) string {
	return fmt.Sprintf("(%[1]s != null && has(%[1]s.metadata) && has(%[1]s.metadata.annotations) && '%[2]s' in %[1]s.metadata.annotations)", object, v1alpha1.AnnotationAdopted)
}

func variables() []admissionv1.Variable {
	one := func(name, expression string) admissionv1.Variable {
		return admissionv1.Variable{Name: name, Expression: expression}
	}
	return []admissionv1.Variable{
		one("kind", "request.resource.group + '/' + request.resource.resource"),
		one("ns", "variables.kind == '/namespaces' ? request.name : (has(request.namespace) ? request.namespace : '')"),
		one("creates", "request.operation == 'CREATE'"),
		one("token", "variables.kind == '/serviceaccounts' && has(request.subResource) && request.subResource == 'token'"),
		one("labelled", labelled("object")),
		one("wasLabelled", labelled("oldObject")),
		// What join made for the account itself. It may be let go of, not changed.
		one("own", fmt.Sprintf(`(variables.kind == '/namespaces' && request.name == '%[1]s' && request.operation == 'UPDATE')
|| (variables.kind == '/serviceaccounts' && request.namespace == '%[1]s' && request.name == '%[2]s' && request.operation in ['CREATE', 'UPDATE'] && (request.operation == 'UPDATE' || variables.token))`,
			v1alpha1.SystemNamespace, v1alpha1.ServiceAccount)),
		one("event", "request.resource.resource == 'events' && request.resource.group in ['', 'events.k8s.io']"),
		one("rbac", "request.resource.group == 'rbac.authorization.k8s.io'"),
		one("ownRole", fmt.Sprintf("variables.rbac && (request.name == '%[1]s' || request.name.startsWith('%[1]s:'))", v1alpha1.ServiceAccount)),
		// Rights to the custom resources of one group, which the account gives itself.
		one("group", fmt.Sprintf("variables.ownRole && request.name.startsWith('%[1]s:') ? request.name.substring(%[2]d) : ''", v1alpha1.ServiceAccount, len(v1alpha1.ServiceAccount)+1)),
		one("custom", "variables.group.contains('.') && !variables.group.endsWith('.k8s.io')"),
		one("labels", labelsOf("object")),
		one("oldLabels", labelsOf("oldObject")),
		one("adopted", annotated("object")+" || "+annotated("oldObject")),
	}
}

func validations() []admissionv1.Validation {
	reason := metav1.StatusReasonForbidden
	one := func(expression, message string) admissionv1.Validation {
		return admissionv1.Validation{Expression: expression, Message: "the hub's account " + message, Reason: &reason}
	}
	return []admissionv1.Validation{
		one(fmt.Sprintf("variables.own || !(variables.ns.startsWith('kube-') || variables.ns == '%s')", v1alpha1.SystemNamespace),
			"writes nothing in kube-* and "+v1alpha1.SystemNamespace),
		one("variables.own || variables.event || variables.ownRole || (variables.creates ? variables.labelled : variables.wasLabelled || (request.operation == 'UPDATE' && variables.labelled))",
			"touches nothing that is not marked as its own, with the label "+v1alpha1.LabelManaged),
		one(`variables.own || variables.event || variables.ownRole || variables.kind == '/namespaces' || request.operation == 'DELETE' || !variables.labelled
|| namespaceObject == null || (has(namespaceObject.metadata.labels) && '`+v1alpha1.LabelManaged+`' in namespaceObject.metadata.labels)`,
			"writes in no namespace that is not marked as its own, with the label "+v1alpha1.LabelManaged),
		one("variables.kind != '/namespaces' || request.operation != 'DELETE' || (!variables.adopted && request.name != 'default')",
			"deletes no Namespace that was there before it"),
		one(`variables.kind != '/namespaces' || variables.creates || request.operation == 'DELETE' || !variables.adopted || ['enforce', 'audit', 'warn'].all(mode,
  !('pod-security.kubernetes.io/' + mode in variables.oldLabels)
  || ('pod-security.kubernetes.io/' + mode in variables.labels
      && (variables.labels['pod-security.kubernetes.io/' + mode] == variables.oldLabels['pod-security.kubernetes.io/' + mode]
          || (['privileged', 'baseline', 'restricted'].indexOf(variables.oldLabels['pod-security.kubernetes.io/' + mode]) >= 0
              && ['privileged', 'baseline', 'restricted'].indexOf(variables.labels['pod-security.kubernetes.io/' + mode])
                 > ['privileged', 'baseline', 'restricted'].indexOf(variables.oldLabels['pod-security.kubernetes.io/' + mode])))))`,
			"weakens no label of Pod Security of a Namespace that was there before it"),
		one("variables.kind != '/secrets' || request.operation == 'DELETE' || !has(object.type) || !(object.type in ['kubernetes.io/service-account-token', 'bootstrap.kubernetes.io/token'])",
			"writes no Secret that becomes a token"),
		one(fmt.Sprintf("!variables.token || (request.namespace == '%s' && request.name == '%s')", v1alpha1.SystemNamespace, v1alpha1.ServiceAccount),
			"asks for no token but its own"),
		one(`!variables.rbac || variables.ownRole || request.operation == 'DELETE' || !has(object.rules) || object.rules == null
|| object.rules.all(rule, !rule.verbs.exists(verb, verb in ['escalate', 'bind', 'attest'] || verb.startsWith('impersonate')) && !('*' in rule.verbs && has(rule.resources) && '*' in rule.resources))`,
			"grants no right to escalate, bind or impersonate, nor every right"),
		one("!variables.rbac || variables.ownRole || request.operation == 'DELETE' || !has(object.aggregationRule)",
			"makes no role that gathers others"),
		one(fmt.Sprintf(`!variables.rbac || variables.ownRole || request.operation == 'DELETE' || !has(object.roleRef)
|| (object.roleRef.name != 'cluster-admin' && !object.roleRef.name.startsWith('system:') && (!has(object.subjects) || object.subjects == null
    || object.subjects.all(subject, subject.name != 'system:masters' && !(subject.kind == 'ServiceAccount' && subject.name == '%s'))))`, v1alpha1.ServiceAccount),
			"binds neither cluster-admin nor a role of the system's, nor itself"),
		one(fmt.Sprintf(`!variables.ownRole || request.operation == 'DELETE' || (request.operation == 'UPDATE' && !has(object.rules) && !has(oldObject.rules) && object.roleRef == oldObject.roleRef && object.subjects == oldObject.subjects)
|| (request.operation == 'UPDATE' && has(object.rules) && has(oldObject.rules) && object.rules == oldObject.rules)
|| (variables.custom && has(object.rules) && object.rules.all(rule, has(rule.apiGroups) && rule.apiGroups == [variables.group] && !rule.verbs.exists(verb, verb in ['*', 'escalate', 'bind'])))
|| (variables.custom && has(object.roleRef) && object.roleRef.name == request.name && object.subjects.all(subject, subject.kind == 'ServiceAccount' && subject.name == '%s' && subject.namespace == '%s'))`, v1alpha1.ServiceAccount, v1alpha1.SystemNamespace),
			"changes its own rights only to add custom resources. Try: hanse join again"),
	}
}
