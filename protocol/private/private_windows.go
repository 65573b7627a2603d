package private

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/windows"
)

// onlyUs lets SYSTEM, administrators and the owner in, inherits nothing and
// passes itself on to what is made inside.
const onlyUs = "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;OW)"

// Rights by which somebody changes a file or what lies in a folder, takes a
// folder above away from under it, and reads it.
const (
	deleteChild = 0x40 // FILE_DELETE_CHILD
	taking      = windows.DELETE | windows.WRITE_DAC | windows.WRITE_OWNER | windows.GENERIC_ALL | deleteChild
	writing     = taking | windows.FILE_WRITE_DATA | windows.FILE_APPEND_DATA | windows.GENERIC_WRITE
	reading     = windows.FILE_READ_DATA | windows.GENERIC_READ | windows.GENERIC_EXECUTE
)

func mkdir(path string) error {
	sd, err := windows.SecurityDescriptorFromString(onlyUs)
	if err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	sa := &windows.SecurityAttributes{SecurityDescriptor: sd}
	sa.Length = uint32(unsafe.Sizeof(*sa))
	return windows.CreateDirectory(name, sa) // ERROR_ALREADY_EXISTS is fs.ErrExist
}

// isLink is true for symbolic links, junctions and other reparse points.
func isLink(info fs.FileInfo) bool { return info.Mode()&(fs.ModeSymlink|fs.ModeIrregular) != 0 }

// checkFolder closes a folder that others may read only.
func checkFolder(path string, _ fs.FileInfo) error {
	if err := check(path, writing); err != nil {
		return err
	}
	if check(path, reading) == nil {
		return nil
	}
	sd, err := windows.SecurityDescriptorFromString(onlyUs)
	if err != nil {
		return err
	}
	dacl, _, err := sd.DACL()
	if err == nil {
		err = windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT,
			windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
	}
	if err != nil {
		return fmt.Errorf("close %s to others: %w", path, err)
	}
	return nil
}

func checkAbove(path string, _ fs.FileInfo) error { return check(path, taking) }

func open(path string, secret bool) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{path, "is not a regular file", "put the file itself there"}
	}
	rights := windows.ACCESS_MASK(writing)
	if secret {
		rights |= reading
	}
	if err := check(path, rights); err != nil {
		return nil, err
	}
	return os.Open(path)
}

// checkGiven leaves reading to groups of the administrator's choice.
func checkGiven(path string, _ fs.FileInfo) error { return check(path, writing) }

// check refuses an owner who is none of us, and any of rights for others.
func check(path string, rights windows.ACCESS_MASK) error {
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return fmt.Errorf("ask who may use %s: %w", path, err)
	}
	us, err := trusted()
	if err != nil {
		return err
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return fmt.Errorf("ask whose %s is: %w", path, err)
	}
	if !slices.ContainsFunc(us, owner.Equals) {
		return &Error{path, "belongs to " + account(owner), fmt.Sprintf(`move it away; or if what is in it is yours, run as an administrator: icacls "%s" /setowner *S-1-5-32-544 /T`, path)}
	}
	dacl, _, err := sd.DACL()
	if errors.Is(err, windows.ERROR_OBJECT_NOT_FOUND) || err == nil && dacl == nil {
		return openTo(path, "everybody")
	}
	if err != nil {
		return fmt.Errorf("ask who may use %s: %w", path, err)
	}
	for i := range uint32(dacl.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(dacl, i, &ace); err != nil {
			return fmt.Errorf("ask who may use %s: %w", path, err)
		}
		if ace.Header.AceType == windows.ACCESS_DENIED_ACE_TYPE || ace.Header.AceFlags&windows.INHERIT_ONLY_ACE != 0 || ace.Mask&rights == 0 {
			continue
		}
		if ace.Header.AceType != windows.ACCESS_ALLOWED_ACE_TYPE {
			return openTo(path, "somebody by a rule that is not understood")
		}
		sid := (*windows.SID)(unsafe.Pointer(&ace.SidStart))
		if !slices.ContainsFunc(us, sid.Equals) {
			return openTo(path, account(sid))
		}
	}
	return nil
}

func openTo(path, who string) error {
	inherited := ""
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		inherited = "(OI)(CI)"
	}
	return &Error{path, "is open to " + who, fmt.Sprintf(
		`if nobody else has used it, run as an administrator: icacls "%s" /inheritance:r /grant:r *S-1-5-18:%[2]sF *S-1-5-32-544:%[2]sF *S-1-3-4:%[2]sF`, path, inherited)}
}

// trusted are SYSTEM, the administrators, TrustedInstaller, the owner by its
// two names in lists, and the user that runs.
func trusted() ([]*windows.SID, error) {
	var us []*windows.SID
	for _, s := range []string{"S-1-5-18", "S-1-5-32-544",
		"S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464", "S-1-3-0", "S-1-3-4"} {
		sid, err := windows.StringToSid(s)
		if err != nil {
			return nil, err
		}
		us = append(us, sid)
	}
	me, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("ask which user this is: %w", err)
	}
	return append(us, me.User.Sid), nil
}

func account(sid *windows.SID) string {
	name, domain, _, err := sid.LookupAccount("")
	if err != nil {
		return sid.String()
	}
	return domain + `\` + name
}
