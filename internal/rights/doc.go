// Package rights says what the hub's account may do in a member: the rules of its roles, what these do not cover, in words, and the
// policy that bounds it there. It is pure.
//
// What an account of the hub can do is said as it is. With the role Full it is an administrator of the member: it may create and read
// Secrets, with which goes the token of any service account, and grant rights that it does not hold. The role Namespaced grants
// no right that it does not hold, and writes nothing that is in no namespace but Namespaces. Bound to single namespaces, it reads no
// Secret of others either.
package rights
