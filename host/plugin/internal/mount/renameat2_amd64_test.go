package mount_test

const sysRenameat2 = 316
