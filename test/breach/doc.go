// Command breach shows that the tests of the threat model can fail: it builds a hanse without the defences that they are
// about, has test/attack try it, and says which attempt still comes to nothing. Nothing of that is in the source of hanse
// itself: the compiler is given other text in place of its files.
//
// It takes as long as the attempts need to be sure that nobody stops them, some minutes.
package main
